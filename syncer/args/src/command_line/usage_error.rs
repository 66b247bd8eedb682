//! Errors of the command line and the environment.

use std::path::PathBuf;

/// The reason why the program does not start.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct UsageError {
    /// One sentence for the user; without secrets.
    pub message: String,
    /// The exit code: 2 for an unknown flag or a malformed value, 1 for everything else.
    pub code: u8,
    /// Further sentences for the user, such as deprecations.
    pub notices: Vec<String>,
    /// The file for errors, if one was named.
    pub error_file: Option<PathBuf>,
}

impl UsageError {
    fn new(message: String, code: u8) -> Self {
        Self {
            message,
            code,
            notices: Vec::new(),
            error_file: None,
        }
    }

    pub(crate) fn fatal(message: String) -> Self {
        Self::new(message, 1)
    }

    pub(crate) fn usage(message: String) -> Self {
        Self::new(message, 2)
    }
}
