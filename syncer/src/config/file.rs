//! Several repositories, as `--config` or `GITSYNC_CONFIG_INLINE` names them.
//!
//! `{"repos": {NAME: ENTRY, …}}`: a mapping and not a list, so that a name stands once, where a
//! reader looks for it, and a mistake can be named as `repos.NAME.KEY`. An entry's keys are the
//! flags' names; what it does not say is as the flags beside the file say it.

use std::fmt;
use std::fs;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;

use args::ProcessArgs;
use args::RepoArgs;
use args::is_label;
use args::is_secret;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error as _;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_json::Map;
use serde_json::Value;

use crate::config::ConfigError;
use crate::config::Environment;
use crate::config::RepoConfig;
use crate::redact;

mod places;
#[cfg(test)]
mod tests;

/// The variable that holds the text itself.
const INLINE: &str = "GITSYNC_CONFIG_INLINE";

/// Flags that belong together: an entry that gives one of them has nothing of the others from
/// beside the file.
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

/// Says what cannot be meant in a file of several repositories.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// `why` is a sentence without values that may be secret.
    #[error("{file}: {why}")]
    Syntax { file: String, why: String },
    #[error("{file}: repos.{entry}: {why}")]
    Entry {
        file: String,
        entry: String,
        why: String,
    },
    #[error("{file}: repos.{entry}.{key}: {why}")]
    Key {
        file: String,
        entry: String,
        key: String,
        why: String,
    },
}

/// Reads the repositories that a file, or the variable, names; there is none where neither is given.
pub(super) fn repos(
    process: &ProcessArgs,
    beside: &RepoArgs,
    environment: &Arc<Environment>,
) -> Result<Option<Vec<RepoConfig>>, ConfigError> {
    let (file, text) = match (&process.config, &process.config_inline) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            let problem = format!("expected no ${INLINE} beside it");
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
            let problem = "expected nothing beside --config, each of whose entries has its own";
            return Err(ConfigError::new(flag, problem));
        }
    }
    let File { repos } = read(&text).map_err(|why| FileError::Syntax {
        file: file.clone(),
        why,
    })?;
    let mut configs = Vec::new();
    for (name, given) in repos.0 {
        let entry = Entry {
            file: &file,
            name: &name,
            given: &given,
        };
        configs.push(entry.config(beside, environment)?);
    }
    places::check(&file, &configs)?;
    Ok(Some(configs))
}

/// The whole text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    repos: Unique<Unique<Value>>,
}

/// JSON begins with a brace; all else is YAML.
fn read(text: &str) -> Result<File, String> {
    let file: File = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|error| without_value(&error.to_string()))?
    } else {
        // A piece of the text would show what is secret in it.
        let options = serde_saphyr::options! { with_snippet: false };
        serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| without_value(&error.to_string()))?
    };
    if file.repos.0.is_empty() {
        return Err("repos: expected at least one entry, such as repos: {site: {repo: …}}".into());
    }
    Ok(file)
}

/// A mapping in its own order, where no key stands twice.
struct Unique<V>(Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Unique<V> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Pairs<V> {
            type Value = Unique<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique<V>, A::Error> {
                let mut pairs: Vec<(String, V)> = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    if pairs.iter().any(|(known, _)| *known == key) {
                        return Err(A::Error::custom(format!("{key} is given twice")));
                    }
                    let value = map.next_value();
                    let value =
                        value.map_err(|error| A::Error::custom(format!("{key}: {error}")))?;
                    pairs.push((key, value));
                }
                Ok(Unique(pairs))
            }
        }

        from.deserialize_map(Pairs(PhantomData))
    }
}

/// One repository of the file.
struct Entry<'a> {
    file: &'a str,
    name: &'a str,
    given: &'a Unique<Value>,
}

impl Entry<'_> {
    fn config(
        &self,
        beside: &RepoArgs,
        environment: &Arc<Environment>,
    ) -> Result<RepoConfig, ConfigError> {
        // It becomes a directory, a label of the metrics and a part of annotations.
        if self.name.len() > 63 || !is_label(self.name) {
            let why = "expected a name of at most 63 small letters, digits and inner hyphens";
            return Err(self.wrong(why.to_owned()).into());
        }
        let args = self.args(beside)?;
        redact::hide_flags(&args);
        let config = RepoConfig::new(args, environment.clone());
        let mut config = config.map_err(|error| self.named(error))?;
        config.name = Some(self.name.to_owned());
        Ok(config)
    }

    /// The flags beside the file, and over them what the entry says.
    fn args(&self, beside: &RepoArgs) -> Result<RepoArgs, FileError> {
        let own = |dir: &PathBuf| dir.join(self.name);
        let mut args = beside.clone();
        args.root = beside.root.as_ref().map(own);
        args.state = beside.state.as_ref().map(own);
        let Ok(Value::Object(mut all)) = serde_json::to_value(&args) else {
            return Err(self.wrong("the flags beside it cannot be written down".to_owned()));
        };
        let Ok(Value::Object(usual)) = serde_json::to_value(RepoArgs::default()) else {
            return Err(self.wrong("the defaults cannot be written down".to_owned()));
        };
        for together in TOGETHER {
            if together.iter().any(|key| self.gives(key)) {
                reset(&mut all, &usual, together);
            }
        }
        for (key, value) in &self.given.0 {
            if !all.contains_key(key) {
                return Err(self.at(key, args::about_unknown_key(key)));
            }
            all.insert(key.clone(), value.clone());
            // One by one, so that the key at fault is known.
            args = RepoArgs::deserialize(Value::Object(all.clone()))
                .map_err(|error| self.at(key, said(key, &error.to_string())))?;
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
        self.given.0.iter().any(|(given, _)| given == key)
    }

    /// Says where in the file a value stands that cannot be meant; one that stands beside it keeps
    /// its flag's name.
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

fn reset(all: &mut Map<String, Value>, usual: &Map<String, Value>, keys: &[&str]) {
    for key in keys {
        if let Some(value) = usual.get(*key) {
            all.insert((*key).to_owned(), value.clone());
        }
    }
}

/// The parser's sentence about a value, without its prefix, and without the value if that is secret.
fn said(key: &str, error: &str) -> String {
    let mut error = error.to_owned();
    for (rust, words) in [
        ("expected a boolean", "expected true or false"),
        ("expected a sequence", "expected a list"),
        ("expected a string", "expected a text in quotes"),
        ("expected i64", "expected a whole number"),
        ("expected u32", "expected a whole number of at least 0"),
        ("expected u64", "expected a whole number of at least 0"),
    ] {
        if let Some(before) = error.strip_suffix(rust) {
            error = format!("{before}{words}");
        }
    }
    match error.split_once(", expected ") {
        Some((_, expected)) if is_secret(key) => format!("expected {expected}"),
        _ => error
            .trim_start_matches("invalid type: ")
            .trim_start_matches("invalid value: ")
            .to_owned(),
    }
}

/// The parser's sentence about the shape of the text, without the value that it read: what stands in
/// the wrong place may be a password.
fn without_value(error: &str) -> String {
    match (error.find("invalid type: "), error.rfind(", expected ")) {
        (Some(start), Some(end)) if start < end => {
            format!("{}{}", &error[..start], &error[end + ", ".len()..])
        }
        _ => error.to_owned(),
    }
}
