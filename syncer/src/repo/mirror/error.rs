//! Errors of the mirror.

use std::io;
use std::path::PathBuf;

use crate::git::GitError;

/// The reason why the mirror cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MirrorError {
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("cannot prepare {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
}
