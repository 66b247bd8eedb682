//! The check of the mirror before a pass, and its verdict on damage.

use crate::git::GitError;
use crate::git::GitSession;
use crate::git::failure::FailureCause;
use crate::repo::mirror::Mirror;
use crate::repo::mirror::error::MirrorError;
use crate::repo::mirror::level::Check;
use crate::repo::mirror::level::half_of;
use crate::repo::mirror::own_branch;

impl Mirror {
    /// The damage for which the mirror's objects must be fetched again; `None` if there is none.
    pub(crate) async fn trouble(
        &self,
        git: GitSession<'_>,
        check: Check,
    ) -> Result<Option<String>, MirrorError> {
        if check == Check::Recreate || self.has_other_format() {
            return Ok(Some("the remote has another object format".to_owned()));
        }
        if check == Check::Tidy {
            match git.at(self.git_dir()).rev_list_any().await {
                Err(error) if says_damaged(&error) => {}
                Ok(()) | Err(GitError::Failed { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        if !self.has_own_head().map_err(|source| self.io(source))? {
            // git-sync v3 has the followed branch checked out.
            let repository = git.at(self.git_dir());
            match repository.symbolic_ref_head(&own_branch()).await {
                Err(error) if says_damaged(&error) => return Ok(Some(error.to_string())),
                moved => moved?,
            }
        }
        self.check_objects(git, check).await
    }

    /// Runs `git fsck` and returns its verdict if objects are missing or damaged. An unfinished
    /// check is inconclusive and must not affect what is published.
    async fn check_objects(
        &self,
        git: GitSession<'_>,
        check: Check,
    ) -> Result<Option<String>, MirrorError> {
        let session = git.until(half_of(git.deadline));
        let repository = session.at(self.git_dir());
        match repository.fsck(check >= Check::Contents).await {
            Ok(()) => Ok(None),
            Err(error) if is_verdict(&error) => Ok(Some(error.to_string())),
            // fsck only criticised the form of objects that old versions of git wrote.
            Err(GitError::Failed {
                why: Some(FailureCause::Disliked),
                ..
            }) => Ok(None),
            Err(GitError::TimedOut { .. }) => {
                tracing::info!(
                    "the check of the local repository timed out, continuing without it"
                );
                Ok(None)
            }
            Err(error @ (GitError::Failed { .. } | GitError::Killed { .. })) => {
                tracing::info!(
                    reason = error.to_string(),
                    "the local repository could not be checked, continuing without the check"
                );
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether the error of a command without a remote means that the mirror cannot be opened or lacks
/// an object.
fn says_damaged(error: &GitError) -> bool {
    matches!(
        error.why(),
        Some(FailureCause::Object | FailureCause::Unusable)
    )
}

/// Whether `git fsck` found objects missing or damaged. Its status is then a sum of flags, and 128
/// if it gave up; 1 alone may be an object of unusual form.
fn is_verdict(error: &GitError) -> bool {
    let GitError::Failed { code, why, .. } = error else {
        return false;
    };
    match code {
        Some(1) => *why != Some(FailureCause::Disliked) && *why != Some(FailureCause::Exhausted),
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
            why: FailureCause::of(stderr),
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
