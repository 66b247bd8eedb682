//! Why a pass failed, and what follows from it.
//!
//! A failure has a stage and a cause; [`aftermath`] maps the two to what the next pass begins with.
//! Unknown is not corrupt: words of git's that are not known never lead to a check of all objects, and
//! only that check's own verdict leads to a new repository.

use std::error::Error;
use std::fmt;
use std::io;

use crate::auth::AuthError;
use crate::git::GitError;
use crate::git::failure::Why;
use crate::mirror::MirrorError;
use crate::publish::PublishError;
use crate::remote::RemoteError;
use crate::tree::TreeError;

/// How far a pass had got. Recording a publication is no stage: it cannot fail a pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    /// Credentials are read or requested.
    Auth,
    /// Our part of the disk is checked; no remote is contacted.
    Prepare,
    /// The ref is fetched and its commit resolved.
    Fetch,
    /// The commit's files are written.
    Checkout,
    /// `git submodule update` runs.
    Submodules,
    /// The complete tree is put in place and shown.
    Switch,
}

/// What made a pass fail, as far as it matters for the next one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cause {
    /// The remote, the way to it, the credentials, the configuration, the revision's content or the
    /// machine: nothing on our disk.
    Elsewhere,
    /// git failed in words that are not known.
    Unknown,
    /// A command was killed, by its deadline or by a signal.
    Interrupted,
    /// The volume is full.
    Full,
    /// A lock was there, which no live process of ours holds.
    Locked,
    /// Something that we had made was gone.
    Vanished,
    /// An object is missing or damaged.
    Object,
    /// git cannot open our repository.
    Unusable,
    /// Our repository has another object format than the remote's.
    ObjectFormat,
    /// The file system refused something else.
    Io,
}

/// What the next pass begins with, from little to much.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Aftermath {
    /// Nothing: the disk is as it was.
    Retry,
    /// Stale locks and partial trees are removed.
    Tidy,
    /// The same, at once: it is no trouble of the user's.
    ClearLocks,
    /// All objects are looked for.
    Verify,
    /// The content of all objects is read.
    VerifyContents,
    /// The repository is made anew.
    Recreate,
}

/// The one table of what follows from a failure.
pub(crate) fn aftermath(stage: Stage, cause: Cause) -> Aftermath {
    match (stage, cause) {
        (Stage::Auth, _) | (_, Cause::Elsewhere) => Aftermath::Retry,
        (Stage::Fetch, Cause::ObjectFormat) => Aftermath::Recreate,
        (_, Cause::ObjectFormat) => Aftermath::Retry,
        (_, Cause::Unknown | Cause::Interrupted | Cause::Full | Cause::Io) => Aftermath::Tidy,
        (_, Cause::Locked) => Aftermath::ClearLocks,
        // Words like these may be a remote's that is a directory of this machine, too.
        (Stage::Fetch, Cause::Vanished) => Aftermath::Tidy,
        (_, Cause::Vanished) => Aftermath::ClearLocks,
        // Their own repositories were made anew already.
        (Stage::Submodules, Cause::Object | Cause::Unusable) => Aftermath::Tidy,
        (Stage::Checkout, Cause::Object) => Aftermath::VerifyContents,
        (_, Cause::Object | Cause::Unusable) => Aftermath::Verify,
    }
}

/// Why a pass failed.
#[derive(Debug)]
pub(crate) struct PassError {
    stage: Stage,
    error: StepError,
}

/// What a step of a pass failed with.
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
    /// An error of a step.
    pub(crate) fn at(stage: Stage, error: impl Into<StepError>) -> Self {
        Self {
            stage,
            error: error.into(),
        }
    }

    /// What the next pass begins with.
    pub(crate) fn aftermath(&self) -> Aftermath {
        aftermath(self.stage, self.error.cause())
    }

    /// Tells whether the server may have sent `Retry-After`, which git does not pass on.
    pub(crate) fn may_have_retry_after(&self) -> bool {
        let why = self.error.of_git().and_then(GitError::why);
        matches!(why, Some(Why::TooOften | Why::Unavailable))
    }

    /// Tells whether the commit was fetched and could not be published.
    pub(crate) fn is_unpublished(&self) -> bool {
        matches!(
            self.stage,
            Stage::Checkout | Stage::Submodules | Stage::Switch
        )
    }

    /// git's failure, if it was git's.
    pub(crate) fn of_git(&self) -> Option<&GitError> {
        self.error.of_git()
    }

    /// What tells this failure from others: its stage and git's words.
    pub(crate) fn identity(&self) -> (Stage, String) {
        (self.stage, self.to_string())
    }
}

/// An error of a publication knows its stage.
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
            | Self::Mirror(MirrorError::Git(git))
            | Self::Publish(PublishError::Git(git) | PublishError::Tree(TreeError::Git(git)))
            | Self::Publish(PublishError::Tree(TreeError::Submodules(git)))
            | Self::Tree(TreeError::Git(git) | TreeError::Submodules(git)) => Some(git),
            _ => None,
        }
    }

    fn of_disk(&self) -> Option<&io::Error> {
        match self {
            Self::Mirror(MirrorError::Io { source, .. })
            | Self::Publish(
                PublishError::Io { source, .. } | PublishError::Tree(TreeError::Io { source, .. }),
            )
            | Self::Tree(TreeError::Io { source, .. })
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
        // Of a directory that is gone, too, in which it was to start.
        GitError::Spawn { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            Cause::Vanished
        }
        GitError::Spawn { .. } => Cause::Elsewhere,
        GitError::Failed { why: Some(why), .. } => match why {
            Why::DiskFull => Cause::Full,
            Why::Locked => Cause::Locked,
            Why::Vanished => Cause::Vanished,
            Why::Object => Cause::Object,
            Why::Unusable => Cause::Unusable,
            Why::ObjectFormat => Cause::ObjectFormat,
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
            why: Why::of(stderr),
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
    fn what_the_file_system_refuses_is_no_damage() {
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
