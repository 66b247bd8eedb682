use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::config::RepoConfig;
use crate::git::allowance;
use crate::git::config::Key;
use crate::remote::auth::error::AuthError;
use crate::remote::auth::error::write;
use crate::system::files;

/// git's private configuration file, as an ordered list of pairs.
#[derive(Default)]
pub(super) struct ConfigFile(Vec<(String, String)>);

impl ConfigFile {
    /// Sets a key to one value and removes its earlier values.
    pub(super) fn set(&mut self, key: &str, value: &str) {
        let parts = Key::of(key);
        self.0.retain(|(other, _)| match (&parts, Key::of(other)) {
            (Some(parts), Some(other)) => !parts.is_same(&other),
            _ => true,
        });
        self.add(key, value);
    }

    /// Adds a value to a key.
    pub(super) fn add(&mut self, key: &str, value: &str) {
        self.0.push((key.to_owned(), value.to_owned()));
    }

    /// The settings that git gets for every repository.
    pub(super) fn base(config: &RepoConfig) -> Self {
        let mut gitconfig = Self::default();
        // The volume may belong to another user, and the app may run git under another user.
        gitconfig.set("safe.directory", "*");
        for (key, value) in allowance::settings() {
            gitconfig.set(key, value);
        }
        // No process may leave the process group that a deadline kills.
        gitconfig.set("gc.autoDetach", "false");
        gitconfig.set("maintenance.autoDetach", "false");
        gitconfig.set("gc.pruneExpire", "now");
        // A user without a passwd line has no name, and git needs one for its reflogs.
        gitconfig.set("user.name", "gitvolume");
        gitconfig.set("user.email", "gitvolume@localhost");
        // If the helper has no answer, git must not prompt.
        gitconfig.set("core.askPass", "true");
        // A transport helper whose syncer was killed ends by itself as well.
        gitconfig.set("http.lowSpeedLimit", "1");
        let timeout = config.sync_timeout.max(Duration::from_secs(1)).as_secs();
        gitconfig.set("http.lowSpeedTime", &timeout.to_string());
        gitconfig
    }

    /// Adds the user's own keys; each replaces the syncer's value.
    pub(super) fn add_users(&mut self, config: &RepoConfig) {
        for (key, value) in &config.git_config {
            if key.eq_ignore_ascii_case("credential.helper") {
                // git tries all helpers in order, and the syncer's knows the flags' passwords.
                self.add(key, value);
            } else {
                self.set(key, value);
            }
        }
    }

    /// Writes the file, unless it already has this content.
    pub(super) fn write(&self, path: &Path) -> Result<(), AuthError> {
        // A header among the user's keys may be a password.
        write(path, self.to_string().as_bytes(), files::SECRET_MODE)
    }
}

impl fmt::Display for ConfigFile {
    /// Formats the file in git's syntax (`git-config(1)`, "Syntax").
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in &self.0 {
            // Invalid keys were refused when the flags were parsed.
            let Some(key) = Key::of(key) else { continue };
            match key.subsection {
                Some(subsection) => writeln!(f, "[{} \"{}\"]", key.section, escaped(subsection))?,
                None => writeln!(f, "[{}]", key.section)?,
            }
            let value = escaped(value).replace('\n', "\\n").replace('\t', "\\t");
            writeln!(f, "\t{} = \"{value}\"", key.name)?;
        }
        Ok(())
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Quotes a text as one word of a shell command.
pub(crate) fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use std::process::Command;

    #[test]
    fn the_last_value_of_a_key_replaces_the_others() {
        let mut config = ConfigFile::default();
        config.set("safe.directory", "*");
        config.set("credential.helper", "ours");
        config.set("Safe.Directory", "/x");
        config.add("credential.helper", "theirs");
        assert_eq!(
            config.to_string(),
            "[credential]\n\thelper = \"ours\"\n[Safe]\n\tDirectory = \"/x\"\n[credential]\n\thelper = \"theirs\"\n"
        );
        assert_eq!(shell_quoted("it's"), "'it'\\''s'");
    }

    proptest! {
        // Each case starts git.
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn git_reads_the_written_configuration(
            subsection in proptest::option::of("[^\n\0]{1,12}"),
            value in "[^\0]{0,24}",
        ) {
            let key = match subsection {
                Some(subsection) => format!("some.{subsection}.key"),
                None => "some.key".to_owned(),
            };
            let mut config = ConfigFile::default();
            config.set("other.key", "x");
            config.set(&key, &value);
            config.set("last.key", "y");
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("config");
            fs::write(&file, config.to_string()).unwrap();
            let output = Command::new("git")
                .args(["config", "--null", "--file"])
                .arg(&file)
                .args(["--get", &key])
                .output()
                .unwrap();
            prop_assert!(output.status.success(), "{config}");
            prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{value}\0"));
        }
    }
}
