//! Errors in a file of several repositories.

/// An error in a file of several repositories.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// `why` never quotes a value that may be secret.
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
