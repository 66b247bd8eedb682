use std::io;

use crate::auth::AuthError;
use crate::git::GitError;
use crate::git::failure::Why;
use crate::mirror::MirrorError;
use crate::publish::PublishError;
use crate::tree::TreeError;

/// What is known of our part of the disk, from little to much.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Condition {
    /// An earlier process, or a failed pass, may have left anything.
    Unknown,
    /// Nothing is damaged, but a killed command may have left its locks.
    Untidy,
    /// It was checked, and leftovers were removed.
    Good,
}

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SyncError {
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error("cannot clean up after an earlier run")]
    Clean(#[source] io::Error),
    #[error("cannot write the state for the probe")]
    Status(#[source] io::Error),
}

impl SyncError {
    /// git's part in it, if any.
    fn of_git(&self) -> Option<&GitError> {
        match self {
            Self::Git(git)
            | Self::Mirror(MirrorError::Git(git))
            | Self::Publish(PublishError::Git(git) | PublishError::Tree(TreeError::Git(git))) => {
                Some(git)
            }
            _ => None,
        }
    }

    /// Tells whether the server may have said when to come again, which git does not pass on.
    pub(crate) fn may_ask_for_rest(&self) -> bool {
        let asks = |why: &Option<Why>| matches!(why, Some(Why::TooOften | Why::Unavailable));
        matches!(self.of_git(), Some(GitError::Failed { why, .. }) if asks(why))
    }

    /// What the failure says of our disk. A remote's refusal says nothing, and its outage must not
    /// cost a check of all objects at each retry.
    pub(crate) fn leaves(&self) -> Condition {
        match (self, self.of_git()) {
            (Self::Auth(_), _) => Condition::Good,
            (_, Some(GitError::Failed { why: Some(why), .. })) if why.is_remotes() => {
                Condition::Good
            }
            // Of a fetch: most likely a remote that hangs.
            (Self::Git(GitError::TimedOut { .. } | GitError::Killed { .. }), _) => {
                Condition::Untidy
            }
            _ => Condition::Unknown,
        }
    }

    /// Tells whether git could not make files of the objects that it has.
    pub(crate) fn may_be_an_object(&self) -> bool {
        matches!(
            self,
            Self::Publish(PublishError::Tree(TreeError::Git(GitError::Failed {
                why: None,
                ..
            })))
        )
    }
}
