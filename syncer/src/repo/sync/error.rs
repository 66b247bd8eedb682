//! The error of a pass and its aftermath.
//!
//! A failure has a stage and a cause; [`aftermath`] maps the two to what the next pass starts with.
//! Unknown is not corrupt: an unknown message of git never leads to a check of all objects, and
//! only that check's own verdict leads to a new repository.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use hyper::StatusCode;
use jiff::Timestamp;

use crate::git::GitError;
use crate::git::failure::FailureCause;
use crate::lfs::LfsError;
use crate::poll::StaleAnswer;
use crate::remote::auth::AuthError;
use crate::repo::mirror::error::MirrorError;
use crate::repo::publish::error::PublishError;
use crate::repo::resolve::RemoteError;
use crate::tree::TreeError;

/// The stage in which a pass failed. Recording a publication is no stage: it cannot fail a pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    /// Credentials are read or requested.
    Auth,
    /// The local files are checked; no remote is contacted.
    Prepare,
    /// The ref is fetched and its commit resolved.
    Fetch,
    /// The commit's files are written.
    Checkout,
    /// `git submodule update` runs.
    Submodules,
    /// The complete tree is moved into place and published.
    Switch,
}

/// The cause of a failure, as far as the next pass depends on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cause {
    /// The remote, the network, the credentials, the configuration, the content of the revision or
    /// the machine: the local files are not affected.
    Elsewhere,
    /// git failed with an unknown message.
    Unknown,
    /// A command was killed, by its deadline or by a signal.
    Interrupted,
    /// The volume is full.
    Full,
    /// A lock exists that no live process of this syncer holds.
    Locked,
    /// A file of the syncer has disappeared.
    Vanished,
    /// An object is missing or damaged.
    Object,
    /// git cannot open the mirror.
    Unusable,
    /// The mirror and the remote have different object formats.
    ObjectFormat,
    /// Any other file system error.
    Io,
}

/// What the next pass starts with, in ascending order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Aftermath {
    /// Nothing: the disk is unchanged.
    Retry,
    /// Stale locks and partial trees are removed.
    Tidy,
    /// The same, and the pass is repeated at once: the user cannot help here.
    ClearLocks,
    /// The existence of all objects is checked.
    Verify,
    /// The content of all objects is checked.
    VerifyContents,
    /// The repository is recreated.
    Recreate,
}

/// The aftermath of each failure, in one table.
pub(crate) fn aftermath(stage: Stage, cause: Cause) -> Aftermath {
    match (stage, cause) {
        (Stage::Auth, _) | (_, Cause::Elsewhere) => Aftermath::Retry,
        (Stage::Fetch, Cause::ObjectFormat) => Aftermath::Recreate,
        (_, Cause::ObjectFormat) => Aftermath::Retry,
        (_, Cause::Unknown | Cause::Interrupted | Cause::Full | Cause::Io) => Aftermath::Tidy,
        (_, Cause::Locked) => Aftermath::ClearLocks,
        // A remote that is a local directory causes the same messages.
        (Stage::Fetch, Cause::Vanished) => Aftermath::Tidy,
        (_, Cause::Vanished) => Aftermath::ClearLocks,
        // The submodules' repositories were already recreated.
        (Stage::Submodules, Cause::Object | Cause::Unusable) => Aftermath::Tidy,
        (Stage::Checkout, Cause::Object) => Aftermath::VerifyContents,
        (_, Cause::Object | Cause::Unusable) => Aftermath::Verify,
    }
}

/// The error of a pass.
#[derive(Debug)]
pub(crate) struct PassError {
    stage: Stage,
    error: StepError,
}

/// The error of a step of a pass.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("cannot clean up after an earlier run")]
    Clean(#[source] io::Error),
    /// Nothing is published yet, and the git host is unreachable.
    #[error(
        "the git host is unreachable, and the cache's last answer, of {as_of:.0}, is older than --max-staleness allows ({max_staleness:?})"
    )]
    TooOld {
        as_of: Timestamp,
        max_staleness: Duration,
        source: RemoteError,
    },
    /// A server's answer to polls, classified like git's.
    #[error("{0}")]
    Throttled(FailureCause),
}

impl fmt::Display for PassError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for PassError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

impl PassError {
    /// The error of a step in a stage.
    pub(crate) fn at(stage: Stage, error: impl Into<StepError>) -> Self {
        Self {
            stage,
            error: error.into(),
        }
    }

    /// The error of a fetch from the git host, and the answer of the pull-through cache that the
    /// pass did not use because of its age.
    pub(crate) fn of_fetch(error: RemoteError, refused: Option<StaleAnswer>) -> Self {
        let error = match refused {
            Some(answer) => StepError::TooOld {
                as_of: answer.as_of,
                max_staleness: answer.max_staleness,
                source: error,
            },
            None => StepError::Remote(error),
        };
        Self::at(Stage::Fetch, error)
    }

    /// The error after two consecutive polls that the server put off, with this status.
    pub(crate) fn throttled(status: StatusCode) -> Self {
        let why = match status {
            StatusCode::TOO_MANY_REQUESTS => FailureCause::RateLimited,
            _ => FailureCause::Unavailable,
        };
        Self::at(Stage::Fetch, StepError::Throttled(why))
    }

    /// What the next pass starts with.
    pub(crate) fn aftermath(&self) -> Aftermath {
        aftermath(self.stage, self.error.cause())
    }

    /// Whether the server may have sent `Retry-After`, which git does not pass on.
    pub(crate) fn may_have_retry_after(&self) -> bool {
        let why = self.error.of_git().and_then(GitError::why);
        matches!(
            why,
            Some(FailureCause::RateLimited | FailureCause::Unavailable)
        )
    }

    /// The pause that a server of Git LFS requested.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match &self.error {
            StepError::Publish(PublishError::Tree(TreeError::Lfs(error))) => error.retry_after(),
            _ => None,
        }
    }

    /// Whether the commit was fetched and could not be published.
    pub(crate) fn is_unpublished(&self) -> bool {
        matches!(
            self.stage,
            Stage::Checkout | Stage::Submodules | Stage::Switch
        )
    }

    /// Whether the volume is full: garbage may be what fills it.
    pub(crate) fn is_full(&self) -> bool {
        self.error.cause() == Cause::Full
    }

    /// git's error, if it is the cause.
    pub(crate) fn of_git(&self) -> Option<&GitError> {
        self.error.of_git()
    }

    /// The identity of this failure: its stage and git's message.
    pub(crate) fn identity(&self) -> (Stage, String) {
        let message = match &self.error {
            StepError::TooOld { source, .. } => source.to_string(),
            error => error.to_string(),
        };
        (self.stage, message)
    }
}

/// A publication error implies its stage.
impl From<PublishError> for PassError {
    fn from(error: PublishError) -> Self {
        let stage = match &error {
            PublishError::Tree(TreeError::Submodules(_)) => Stage::Submodules,
            PublishError::Tree(_) | PublishError::Git(_) => Stage::Checkout,
            PublishError::Io { .. }
            | PublishError::Foreign { .. }
            | PublishError::Reserved(_)
            | PublishError::Subdir { .. } => Stage::Switch,
        };
        Self::at(stage, error)
    }
}

impl StepError {
    fn of_git(&self) -> Option<&GitError> {
        match self {
            Self::Git(git)
            | Self::Remote(RemoteError::Git(git))
            | Self::TooOld {
                source: RemoteError::Git(git),
                ..
            }
            | Self::Mirror(MirrorError::Git(git))
            | Self::Publish(PublishError::Git(git) | PublishError::Tree(TreeError::Git(git)))
            | Self::Publish(PublishError::Tree(TreeError::Submodules(git)))
            | Self::Publish(PublishError::Tree(TreeError::Lfs(LfsError::Git(git))))
            | Self::Tree(
                TreeError::Git(git)
                | TreeError::Submodules(git)
                | TreeError::Lfs(LfsError::Git(git)),
            ) => Some(git),
            _ => None,
        }
    }

    fn of_disk(&self) -> Option<&io::Error> {
        match self {
            Self::Mirror(MirrorError::Io { source, .. })
            | Self::Publish(
                PublishError::Io { source, .. }
                | PublishError::Tree(
                    TreeError::Io { source, .. } | TreeError::Lfs(LfsError::Io { source, .. }),
                ),
            )
            | Self::Tree(
                TreeError::Io { source, .. } | TreeError::Lfs(LfsError::Io { source, .. }),
            )
            | Self::Clean(source) => Some(source),
            _ => None,
        }
    }

    fn cause(&self) -> Cause {
        match (self.of_git(), self.of_disk()) {
            (Some(git), _) => of_git(git),
            (None, Some(disk)) => of_disk(disk),
            (None, None) => Cause::Elsewhere,
        }
    }
}

fn of_git(error: &GitError) -> Cause {
    match error {
        GitError::TimedOut { .. } | GitError::Killed { .. } => Cause::Interrupted,
        // The working directory may be missing as well as the program.
        GitError::Spawn { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            Cause::Vanished
        }
        GitError::Spawn { .. } => Cause::Elsewhere,
        GitError::Failed { why: Some(why), .. } => match why {
            FailureCause::DiskFull => Cause::Full,
            FailureCause::Locked => Cause::Locked,
            FailureCause::Vanished => Cause::Vanished,
            FailureCause::Object => Cause::Object,
            FailureCause::Unusable => Cause::Unusable,
            FailureCause::ObjectFormat => Cause::ObjectFormat,
            _ => Cause::Elsewhere,
        },
        _ => Cause::Unknown,
    }
}

fn of_disk(error: &io::Error) -> Cause {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Cause::Full,
        io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::AlreadyExists
        | io::ErrorKind::DirectoryNotEmpty => Cause::Vanished,
        _ => Cause::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGES: [Stage; 6] = [
        Stage::Auth,
        Stage::Prepare,
        Stage::Fetch,
        Stage::Checkout,
        Stage::Submodules,
        Stage::Switch,
    ];

    fn failed(stderr: &str) -> GitError {
        GitError::Failed {
            command: "git x".to_owned(),
            code: Some(128),
            why: FailureCause::of(stderr),
            detail: stderr.to_owned(),
        }
    }

    #[test]
    fn each_stage_and_cause_has_its_aftermath() {
        use Aftermath::ClearLocks;
        use Aftermath::Recreate;
        use Aftermath::Retry;
        use Aftermath::Tidy;
        use Aftermath::Verify;
        use Aftermath::VerifyContents;
        for (cause, expected) in [
            (Cause::Elsewhere, [Retry; 6]),
            (Cause::Unknown, [Retry, Tidy, Tidy, Tidy, Tidy, Tidy]),
            (Cause::Interrupted, [Retry, Tidy, Tidy, Tidy, Tidy, Tidy]),
            (Cause::Full, [Retry, Tidy, Tidy, Tidy, Tidy, Tidy]),
            (Cause::Io, [Retry, Tidy, Tidy, Tidy, Tidy, Tidy]),
            (
                Cause::Locked,
                [
                    Retry, ClearLocks, ClearLocks, ClearLocks, ClearLocks, ClearLocks,
                ],
            ),
            (
                Cause::Vanished,
                [Retry, ClearLocks, Tidy, ClearLocks, ClearLocks, ClearLocks],
            ),
            (
                Cause::Object,
                [Retry, Verify, Verify, VerifyContents, Tidy, Verify],
            ),
            (
                Cause::Unusable,
                [Retry, Verify, Verify, Verify, Tidy, Verify],
            ),
            (
                Cause::ObjectFormat,
                [Retry, Retry, Recreate, Retry, Retry, Retry],
            ),
        ] {
            let found = STAGES.map(|stage| aftermath(stage, cause));
            assert_eq!(found, expected, "{cause:?}");
        }
    }

    #[test]
    fn words_that_are_not_known_never_lead_to_a_check_of_all_objects() {
        let causes = [
            failed("fatal: something new"),
            failed("remote: fatal: unable to read 0123456789012345678901234567890123456789"),
            failed("remote: No space left on device\nfatal: something new"),
            GitError::TimedOut {
                command: "git fetch".to_owned(),
            },
            GitError::Killed {
                command: "git fetch".to_owned(),
                signal: 9,
            },
            GitError::Spawn {
                program: "git".to_owned(),
                source: io::ErrorKind::WouldBlock.into(),
            },
            GitError::Unexpected {
                command: "git fetch".to_owned(),
                answer: "?".to_owned(),
            },
        ];
        for error in &causes {
            for stage in STAGES {
                assert!(
                    aftermath(stage, of_git(error)) <= Aftermath::Tidy,
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn file_system_errors_are_not_damage() {
        for (kind, cause) in [
            (io::ErrorKind::StorageFull, Cause::Full),
            (io::ErrorKind::PermissionDenied, Cause::Io),
            (io::ErrorKind::ReadOnlyFilesystem, Cause::Io),
            (io::ErrorKind::NotFound, Cause::Vanished),
        ] {
            let error = PublishError::Io {
                path: "/x".into(),
                source: kind.into(),
            };
            assert_eq!(StepError::from(error).cause(), cause);
        }
        let error = PassError::from(PublishError::Reserved("..x".to_owned()));
        assert_eq!(error.aftermath(), Aftermath::Retry);
    }
}
