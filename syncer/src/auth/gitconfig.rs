use std::fmt;

/// The text of git's private configuration file.
#[derive(Default)]
pub(super) struct GitConfig(String);

impl GitConfig {
    /// Adds `section.key = value`.
    pub(super) fn set(&mut self, section: &str, key: &str, value: &str) {
        let value = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        self.0
            .push_str(&format!("[{section}]\n\t{key} = \"{value}\"\n"));
    }
}

impl fmt::Display for GitConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Writes a text as one word of a shell's command line.
pub(super) fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_survive() {
        let mut config = GitConfig::default();
        config.set("a", "b", "x \"y\" \\z");
        assert_eq!(config.to_string(), "[a]\n\tb = \"x \\\"y\\\" \\\\z\"\n");
        assert_eq!(shell_quoted("it's"), "'it'\\''s'");
    }
}
