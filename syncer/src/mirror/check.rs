//! How much of our part of the disk is checked before a pass, and what counts as damage.

use tokio::time::Instant;

use crate::git::Git;
use crate::git::GitError;
use crate::git::failure::Why;
use crate::mirror::Mirror;
use crate::mirror::MirrorError;
use crate::mirror::own_branch;

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

impl Mirror {
    /// Says what is wrong with our repository, if its objects must be fetched again for it.
    pub(crate) async fn trouble(
        &self,
        git: &Git,
        check: Check,
        deadline: Instant,
    ) -> Result<Option<String>, MirrorError> {
        if check == Check::Recreate {
            return Ok(Some("the remote has another object format".to_owned()));
        }
        if check == Check::Tidy {
            let opened = git
                .command("rev-list")
                .git_dir(self.git_dir())
                .arg("--max-count=1")
                .arg("--all")
                .run(deadline)
                .await;
            match opened {
                Err(error) if says_damaged(&error) => {}
                Ok(_) | Err(GitError::Failed { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        if !self.has_own_head().map_err(|source| self.io(source))? {
            // git-sync v3 stands on the branch that it follows.
            let moved = git
                .command("symbolic-ref")
                .git_dir(self.git_dir())
                .arg("HEAD")
                .arg(own_branch())
                .run(deadline)
                .await;
            match moved {
                Err(error) if says_damaged(&error) => return Ok(Some(error.to_string())),
                moved => drop(moved?),
            }
        }
        self.check_objects(git, check, deadline).await
    }

    /// Runs `git fsck`, and gives its verdict if objects are missing or damaged. A check that could
    /// not be finished is no verdict: what is published must not be the worse for it.
    async fn check_objects(
        &self,
        git: &Git,
        check: Check,
        deadline: Instant,
    ) -> Result<Option<String>, MirrorError> {
        let mut fsck = git
            .command("fsck")
            .git_dir(self.git_dir())
            // Nothing of ours writes these two, and each is a further process to check.
            .config("core.commitGraph", "false")
            .config("core.multiPackIndex", "false")
            .arg("--no-progress")
            .arg("--no-dangling")
            // One line for each object that is missing; its verdict is its status.
            .lists_files();
        if check < Check::Contents {
            fsck = fsck.arg("--connectivity-only");
        }
        match fsck.run(half_of(deadline)).await {
            Ok(_) => Ok(None),
            Err(error) if is_verdict(&error) => Ok(Some(error.to_string())),
            // Only an old git's way to write history was found fault with.
            Err(GitError::Failed {
                why: Some(Why::Disliked),
                ..
            }) => Ok(None),
            Err(GitError::TimedOut { .. }) => {
                tracing::info!("the check of the local repository took too long, going on without");
                Ok(None)
            }
            Err(error @ (GitError::Failed { .. } | GitError::Killed { .. })) => {
                tracing::info!(
                    reason = error.to_string(),
                    "the local repository could not be checked, going on without"
                );
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Tells whether git's words, of a command that contacts no remote, are that our repository cannot be
/// opened or lacks an object.
fn says_damaged(error: &GitError) -> bool {
    matches!(error.why(), Some(Why::Object | Why::Unusable))
}

/// Tells whether `git fsck` has found objects missing or damaged. Its status is then a sum of flags,
/// and 128 where it gave up; 1 alone may be an object that git only dislikes.
fn is_verdict(error: &GitError) -> bool {
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
