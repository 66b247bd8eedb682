use std::fmt;

use crate::auth::git_config::Key;

/// git's private configuration file, as pairs in their order.
#[derive(Default)]
pub(super) struct ConfigFile(Vec<(String, String)>);

impl ConfigFile {
    /// Gives a key one value, in place of whatever it had.
    pub(super) fn set(&mut self, key: &str, value: &str) {
        let parts = Key::of(key);
        self.0.retain(|(other, _)| match (&parts, Key::of(other)) {
            (Some(parts), Some(other)) => !parts.is_same(&other),
            _ => true,
        });
        self.add(key, value);
    }

    /// Gives a key one more value.
    pub(super) fn add(&mut self, key: &str, value: &str) {
        self.0.push((key.to_owned(), value.to_owned()));
    }
}

impl fmt::Display for ConfigFile {
    /// Writes the text as git reads it (`git-config(1)`, "Syntax").
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in &self.0 {
            // What is no key was refused when it was read.
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

/// Writes a text as one word of a shell's command line.
pub(super) fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use std::process::Command;

    #[test]
    fn the_last_value_of_a_key_takes_the_place_of_the_others() {
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
        fn git_reads_what_we_write(
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
