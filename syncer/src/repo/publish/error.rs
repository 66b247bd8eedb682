//! Errors of a publication.

use std::io;
use std::path::PathBuf;

use crate::git::GitError;
use crate::tree::TreeError;

/// The reason why a tree cannot be published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("cannot publish at {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is in the way: {why}; move it, or choose another path", .path.display())]
    Foreign { path: PathBuf, why: &'static str },
    #[error(
        "the repository's entry {0:?} begins with two dots, which --layout=projected reserves: \
         rename it, or use --layout=link"
    )]
    Reserved(String),
    #[error("the revision has no directory {subdir:?} (--subdir): {what}")]
    Subdir { subdir: String, what: String },
}

impl PublishError {
    /// The error for an entry that the syncer did not create, at a path that the repository has too.
    pub(super) fn in_the_way(path: PathBuf) -> Self {
        Self::Foreign {
            path,
            why: "it was not created by the syncer, and the repository has an entry of the same name",
        }
    }
}
