//! How much of our part of the disk is checked before a pass, and what counts as damage.

use tokio::time::Instant;

use crate::git::GitError;
use crate::git::failure::Why;

/// How much of the disk is checked before a pass, from little to much.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Check {
    /// Stale locks and partial trees are removed, and git must be able to open the repository.
    Tidy,
    /// The same, and `git fsck --connectivity-only`: all objects must be there.
    Connectivity,
    /// The same with a full `git fsck`: the content of all objects is read.
    Contents,
    /// The repository is made anew whatever it looks like.
    Recreate,
}

/// The time of a check; the other half is for the sync itself.
pub(crate) fn half_of(deadline: Instant) -> Instant {
    let now = Instant::now();
    now + deadline.saturating_duration_since(now) / 2
}

/// Tells whether git's words, of a command that contacts no remote, are that our repository cannot be
/// opened or lacks an object.
pub(crate) fn says_damaged(error: &GitError) -> bool {
    matches!(error.why(), Some(Why::Object | Why::Unusable))
}

/// Tells whether `git fsck` has found objects missing or damaged. Its status is then a sum of flags,
/// and 128 where it gave up; 1 alone may be an object that git only dislikes.
pub(crate) fn is_verdict(error: &GitError) -> bool {
    let GitError::Failed { code, why, .. } = error else {
        return false;
    };
    match code {
        Some(1) => *why != Some(Why::Disliked) && *why != Some(Why::Exhausted),
        Some(2..128) => true,
        _ => says_damaged(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fsck(code: i32, stderr: &str) -> GitError {
        GitError::Failed {
            command: "git fsck".to_owned(),
            code: Some(code),
            why: Why::of(stderr),
            detail: stderr.to_owned(),
        }
    }

    #[test]
    fn only_missing_and_damaged_objects_are_a_verdict_of_fsck() {
        let hash = "e83c5163316f89bfbde7d9ab23ca2e25604af290";
        for (code, stderr, expected) in [
            (2, String::new(), true),
            (
                1,
                format!("error: {hash}: object corrupt or missing: x"),
                true,
            ),
            (
                1,
                format!("error in commit {hash}: badTimezone: invalid"),
                false,
            ),
            (
                1,
                format!(
                    "error in tree {hash}: treeNotSorted: not properly sorted
warning in tree {hash}: zeroPaddedFilemode: x"
                ),
                false,
            ),
            (
                3,
                format!("error in commit {hash}: badTimezone: invalid"),
                true,
            ),
            (
                128,
                format!("fatal: loose object {hash} (stored in x) is corrupt"),
                true,
            ),
            (128, "fatal: not a git repository: '/x'".to_owned(), true),
            (
                128,
                "fatal: unable to create thread: Resource temporarily unavailable".to_owned(),
                false,
            ),
            (
                128,
                "error: cannot fork() for cat-file: Resource temporarily unavailable".to_owned(),
                false,
            ),
            (
                1,
                "error: cannot fork() for rev-list: Resource temporarily unavailable".to_owned(),
                false,
            ),
            (128, "fatal: something new".to_owned(), false),
        ] {
            assert_eq!(
                is_verdict(&fsck(code, &stderr)),
                expected,
                "{code}: {stderr}"
            );
        }
        assert!(!is_verdict(&GitError::Killed {
            command: "git fsck".to_owned(),
            signal: 9
        }));
    }
}
