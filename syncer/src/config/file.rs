//! Several repositories, from `--config` or `GITSYNC_CONFIG_INLINE`.
//!
//! `{"repos": {NAME: ENTRY, …}}`: a mapping and not a list, so that a name occurs once and an error
//! can name the place as `repos.NAME.KEY`. An entry's keys are the names of flags; the process's
//! flags are the defaults for every entry.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use args::ProcessArgs;
use args::RepoArgs;
use args::is_label;
use args::is_secret;
use serde_json::Map;
use serde_json::Value;

use crate::config::ConfigError;
use crate::config::Environment;
use crate::config::RepoConfig;
use crate::config::file_error::FileError;
use crate::redact;

mod places;

/// The variable that holds the configuration itself.
const INLINE: &str = "GITSYNC_CONFIG_INLINE";

/// Groups of flags: an entry that sets one flag of a group inherits none of that group.
const TOGETHER: [&[&str]; 3] = [
    &["username", "password", "password-file"],
    &[
        "github-app-client-id",
        "github-app-application-id",
        "github-app-installation-id",
        "github-app-private-key",
        "github-app-private-key-file",
    ],
    &["sparse-checkout", "sparse-checkout-file"],
];

/// Reads the repositories of the file or of the variable; empty if neither is set.
pub(super) fn repos(
    process: &ProcessArgs,
    beside: &RepoArgs,
    environment: &Arc<Environment>,
) -> Result<Option<Vec<RepoConfig>>, ConfigError> {
    let (file, text) = match (&process.config, &process.config_inline) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            let problem = format!("expected no ${INLINE} together with it");
            return Err(ConfigError::new("config", problem));
        }
        (None, Some(text)) => (INLINE.to_owned(), text.reveal().to_owned()),
        (Some(path), None) => {
            let text = fs::read_to_string(path).map_err(|error| {
                let problem = format!("cannot read {}: {error}", path.display());
                ConfigError::new("config", problem)
            })?;
            (path.display().to_string(), text)
        }
    };
    for (flag, is_given) in [
        ("repo", beside.repo.is_some()),
        ("link", beside.link.is_some()),
    ] {
        if is_given {
            let problem = "expected no value together with --config, whose entries set their own";
            return Err(ConfigError::new(flag, problem));
        }
    }
    let repos = read(&text).map_err(|why| FileError::Syntax {
        file: file.clone(),
        why,
    })?;
    let mut configs = Vec::new();
    for (name, given) in &repos {
        let file = &file;
        let Value::Object(given) = given else {
            let why = "expected a mapping of flags".to_owned();
            let (file, entry) = (file.clone(), name.clone());
            return Err(FileError::Entry { file, entry, why }.into());
        };
        let entry = Entry { file, name, given };
        configs.push(entry.config(beside, environment)?);
    }
    places::check(&file, &configs)?;
    Ok(Some(configs))
}

/// Parses the entries by name. JSON is parsed as YAML.
fn read(text: &str) -> Result<Map<String, Value>, String> {
    // A snippet of the text could reveal a secret.
    let options = serde_saphyr::options! { with_snippet: false };
    let file = serde_saphyr::from_str_with_options(text, options).map_err(|error| match error {
        serde_saphyr::Error::DuplicateMappingKey { key, location } => {
            let key = key.as_deref().unwrap_or("a key");
            format!("line {}: {key} is given twice", location.line())
        }
        error => format!("expected YAML or JSON, but {error}"),
    })?;
    let Value::Object(mut file) = file else {
        return Err("expected a mapping such as repos: {site: {repo: …}}".to_owned());
    };
    let repos = file.remove("repos");
    if let Some(key) = file.keys().next() {
        return Err(format!("{key}: expected repos as the only key"));
    }
    match repos {
        Some(Value::Object(repos)) if !repos.is_empty() => Ok(repos),
        _ => Err("repos: expected at least one entry, such as repos: {site: {repo: …}}".into()),
    }
}

/// One repository of the file.
struct Entry<'a> {
    file: &'a str,
    name: &'a str,
    given: &'a Map<String, Value>,
}

impl Entry<'_> {
    fn config(
        &self,
        beside: &RepoArgs,
        environment: &Arc<Environment>,
    ) -> Result<RepoConfig, ConfigError> {
        // The name becomes a directory, a metric label and a part of annotations.
        if self.name.len() > 63 || !is_label(self.name) {
            let why = "expected a name of at most 63 lower-case letters, digits and inner hyphens";
            return Err(self.wrong(why.to_owned()).into());
        }
        let args = self.args(beside)?;
        redact::hide_flags(&args);
        let config = RepoConfig::new(args, environment.clone());
        let mut config = config.map_err(|error| self.named(error))?;
        config.name = Some(self.name.to_owned());
        Ok(config)
    }

    /// The process's flags, overridden by the entry.
    fn args(&self, beside: &RepoArgs) -> Result<RepoArgs, FileError> {
        let own = |dir: &PathBuf| dir.join(self.name);
        let mut args = beside.clone();
        args.root = beside.root.as_ref().map(own);
        args.state = beside.state.as_ref().map(own);
        for together in TOGETHER {
            if together.iter().any(|key| self.gives(key)) {
                args.reset_keys(together);
            }
        }
        for (key, value) in self.given {
            if !RepoArgs::is_key(key) {
                return Err(self.at(key, args::about_unknown_key(key)));
            }
            args.set_key(key, value).map_err(|(value, expected)| {
                if value.is_empty() || is_secret(key) {
                    self.at(key, expected)
                } else {
                    self.at(key, format!("{value}: {expected}"))
                }
            })?;
        }
        let has_own_password = args
            .repo
            .as_ref()
            .is_some_and(|repo| repo.user_info().has_secret());
        if has_own_password && !self.gives("username") {
            (args.username, args.password, args.password_file) = (None, None, None);
        }
        Ok(args)
    }

    fn gives(&self, key: &str) -> bool {
        self.given.contains_key(key)
    }

    /// Names the value's place in the file; a value from the process's flags keeps the flag's name.
    fn named(&self, error: ConfigError) -> ConfigError {
        match error {
            ConfigError::Setting {
                flag,
                problem,
                is_missing,
                ..
            } if is_missing || self.gives(&flag) => self.at(&flag, problem).into(),
            error => error,
        }
    }

    fn at(&self, key: &str, why: String) -> FileError {
        FileError::Key {
            file: self.file.to_owned(),
            entry: self.name.to_owned(),
            key: key.to_owned(),
            why,
        }
    }

    fn wrong(&self, why: String) -> FileError {
        FileError::Entry {
            file: self.file.to_owned(),
            entry: self.name.to_owned(),
            why,
        }
    }
}

#[cfg(test)]
mod tests;
