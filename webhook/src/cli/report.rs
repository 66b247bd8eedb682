//! What the commands print for people, on standard error.

use std::io;
use std::io::Write;

/// Prints one finding a line, and remembers whether there were errors and documents that were left
/// as they are. A standard error that nobody reads is no error.
#[derive(Debug, Default)]
pub struct Report {
    has_errors: bool,
    has_left: bool,
}

impl Report {
    /// Prints what is good to know.
    pub fn note(&mut self, line: &str) {
        print("note", line);
    }

    /// Prints what is probably not meant, and allowed.
    pub fn warning(&mut self, line: &str) {
        print("warning", line);
    }

    /// Prints that something the command is for was left as it is: `--check` ends with code 1.
    pub fn left(&mut self, line: &str) {
        self.has_left = true;
        self.warning(line);
    }

    /// Prints what is wrong: the command ends with code 2.
    pub fn error(&mut self, line: &str) {
        self.has_errors = true;
        print("error", line);
    }

    /// Whether something was wrong.
    pub fn has_errors(&self) -> bool {
        self.has_errors
    }

    /// Whether something was left as it is.
    pub fn has_left(&self) -> bool {
        self.has_left
    }
}

fn print(level: &str, line: &str) {
    let _ = writeln!(io::stderr().lock(), "{level}: {}", one_line(line));
}

/// A name or a value of a manifest must not move a terminal's cursor.
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
