//! Errors at the start of the process or of a repository.

use std::io;
use std::path::PathBuf;

use crate::git::GitError;
use crate::remote::auth::AuthError;
use crate::system::owner::OwnerError;
use crate::system::passwd::PasswdError;

/// The reason why the sync cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Owner(#[from] OwnerError),
    #[error(transparent)]
    Passwd(#[from] PasswdError),
    #[error(
        "the program {0:?} (--git) is not in PATH, or cannot be run; expected one program without arguments"
    )]
    NoGit(String),
    #[error("cannot create {}", .path.display())]
    Make { path: PathBuf, source: io::Error },
    #[error("{} leads out of {}, the root directory of --layout=clone", .path.display(), .root.display())]
    Outside { path: PathBuf, root: PathBuf },
    #[error("cannot create a directory for the syncer's own files")]
    Private(#[source] io::Error),
    #[error("cannot serve HTTP")]
    Http(#[source] io::Error),
    #[error("the system has no random numbers for --push-secret-file")]
    Random,
    #[error("cannot install signal handlers")]
    Signals(#[source] io::Error),
    #[error("a task of the syncer ended unexpectedly: {0}")]
    Crash(String),
    #[error("cannot start the event loop")]
    Runtime(#[source] io::Error),
}
