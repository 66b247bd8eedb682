//! What people are told, on standard error.

use std::io;
use std::io::Write;

/// Says one thing a line, and remembers whether something was wrong. A standard error that nobody
/// reads is no error.
#[derive(Debug, Default)]
pub struct Report {
    has_errors: bool,
}

impl Report {
    /// Something is odd, and allowed.
    pub fn note(&mut self, line: &str) {
        let _ = writeln!(io::stderr().lock(), "{}", one_line(line));
    }

    /// Something is wrong: the command ends with code 2.
    pub fn error(&mut self, line: &str) {
        self.has_errors = true;
        self.note(line);
    }

    /// Whether something was wrong.
    pub fn has_errors(&self) -> bool {
        self.has_errors
    }
}

/// A name or a value of a manifest must not move a terminal's cursor.
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
