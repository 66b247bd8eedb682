//! Messages for people, on standard error.

use std::io;
use std::io::Write;

/// Prints one message per line, and records whether there were errors or skipped parts. A closed
/// standard error is no error.
#[derive(Debug, Default)]
pub struct Report {
    has_errors: bool,
    has_left: bool,
}

impl Report {
    /// Prints a note.
    pub fn note(&mut self, line: &str) {
        print("note", line);
    }

    /// Prints a warning: the input is valid but probably unintended.
    pub fn warning(&mut self, line: &str) {
        print("warning", line);
    }

    /// Prints that a part for the command was left unchanged: `--check` ends with code 1.
    pub fn left(&mut self, line: &str) {
        self.has_left = true;
        self.warning(line);
    }

    /// Prints an error: the command ends with code 2.
    pub fn error(&mut self, line: &str) {
        self.has_errors = true;
        print("error", line);
    }

    /// Whether there were errors.
    pub fn has_errors(&self) -> bool {
        self.has_errors
    }

    /// Whether a part was left unchanged.
    pub fn has_left(&self) -> bool {
        self.has_left
    }
}

fn print(level: &str, line: &str) {
    let _ = writeln!(io::stderr().lock(), "{level}: {}", one_line(line));
}

/// Replaces control characters: a name or value of a manifest must not move the terminal's cursor.
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Replaces quoted texts in a message: they come from the manifest and may be secret.
pub(crate) fn without_texts(message: &str) -> String {
    let parts = message.split('"').enumerate();
    let parts = parts.map(|(index, part)| if index % 2 == 0 { part } else { "…" });
    parts.collect::<Vec<&str>>().join("\"")
}
