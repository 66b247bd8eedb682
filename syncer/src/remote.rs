//! Which commit is wanted: git's own `fetch` decides.

use std::time::SystemTime;

use args::Revision;
use tokio::time::Instant;

use crate::config::RepoConfig;
use crate::git::Git;
use crate::git::GitError;
use crate::git::Hash;
use crate::git::failure::Why;
use crate::mirror::Mirror;

/// Why there is no commit to publish.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("the repository is empty: it has no commit yet ({0})")]
    Empty(GitError),
    #[error(
        "the repository's default branch {branch:?} does not exist: push it, or name another one by \
         --ref ({error})"
    )]
    NoDefaultBranch { branch: String, error: GitError },
    #[error("the repository's HEAD names nothing that exists: name a branch by --ref ({0})")]
    NoHead(GitError),
    #[error("the repository has no branch or tag {name:?} ({error})")]
    NoRef { name: String, error: GitError },
    #[error("{name:?} names a {kind}, not a commit")]
    NotACommit { name: String, kind: String },
}

/// The repository and the ref that are followed.
pub(crate) struct Remote {
    url: String,
    rev: Revision,
    depth: u32,
    filter: Option<String>,
    /// What the last fetch gave: the object that the ref names, which may be an annotated tag, and
    /// the commit behind it. The same object is the same commit, so git is asked but once.
    last: Option<(Hash, Hash)>,
    /// The committer's date of that commit.
    committed: Option<SystemTime>,
}

/// Asks the remote which commit the ref names; nothing is fetched.
pub(crate) async fn ask(
    git: &Git,
    config: &RepoConfig,
    deadline: Instant,
) -> Result<Hash, GitError> {
    let rev = config.rev.as_str();
    let peeled = format!("{rev}^{{}}");
    let listed = git
        .command("ls-remote")
        .user_args([config.repo.url.as_str(), rev, &peeled])
        .run(deadline)
        .await?;
    named(&listed, rev).ok_or_else(|| GitError::Failed {
        command: "git ls-remote".to_owned(),
        why: Some(Why::RefNotFound),
        code: None,
        detail: format!("couldn't find remote ref {rev}"),
    })
}

/// The commit of a name in git's list of refs, by git's rules (`gitrevisions(7)`).
fn named(listed: &str, rev: &str) -> Option<Hash> {
    let line = |name: &str| {
        let mut lines = listed.lines().filter_map(|line| line.split_once('\t'));
        lines.find_map(|(hash, own)| (own == name).then(|| hash.parse().ok())?)
    };
    let of = |prefix: &str| {
        let name = format!("{prefix}{rev}");
        line(&format!("{name}^{{}}")).or_else(|| line(&name))
    };
    ["", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/"]
        .into_iter()
        .find_map(of)
}

impl Remote {
    /// Describes a remote; nothing is asked yet.
    pub(crate) fn new(config: &RepoConfig) -> Self {
        Self {
            url: config.repo.url.clone(),
            rev: config.rev.clone(),
            depth: config.depth,
            filter: config.filter.clone(),
            last: None,
            committed: None,
        }
    }

    /// What the last fetch gave: the object that the ref names, and the commit behind it.
    pub(crate) fn last(&self) -> Option<&(Hash, Hash)> {
        self.last.as_ref()
    }

    /// The committer's date of a commit, if it is the one that was last fetched.
    pub(crate) fn committed(&self, commit: &Hash) -> Option<SystemTime> {
        let (_, last) = self.last.as_ref()?;
        self.committed.filter(|_| last == commit)
    }

    /// Tells whether the ref is the full hash of this commit, which therefore never moves.
    pub(crate) fn is_pinned_to(&self, commit: &Hash) -> bool {
        self.rev.as_str() == commit.as_str()
    }

    /// Fetches the ref into the mirror and gives its commit.
    pub(crate) async fn resolve(
        &mut self,
        git: &Git,
        mirror: &Mirror,
        deadline: Instant,
    ) -> Result<Hash, RemoteError> {
        let mut fetch = git
            .command("fetch")
            .git_dir(mirror.git_dir())
            .arg("--no-progress")
            .arg("--no-auto-gc")
            .arg("--no-recurse-submodules");
        if self.depth > 0 {
            fetch = fetch.arg("--depth").arg(self.depth.to_string());
        } else if mirror.is_shallow() {
            fetch = fetch.arg("--unshallow");
        }
        if let Some(filter) = &self.filter {
            fetch = fetch.arg(format!("--filter={filter}"));
        }
        let fetched = fetch
            .user_args([self.url.as_str(), self.rev.as_str()])
            .run(deadline)
            .await;
        if let Err(error) = fetched {
            return Err(match error.why() {
                Some(Why::RefNotFound) => self.missing(git, mirror, error, deadline).await,
                _ => error.into(),
            });
        }
        let fetched = mirror.fetch_head()?;
        if let Some((object, commit)) = &self.last
            && *object == fetched
        {
            return Ok(commit.clone());
        }
        let resolved = mirror.commit_of(git, "FETCH_HEAD", deadline).await;
        let (commit, committed) = match resolved {
            Ok(resolved) => resolved,
            Err(error @ GitError::Failed { .. }) => {
                return Err(
                    match mirror.kind_of(git, &fetched, deadline).await.as_deref() {
                        Ok(kind @ ("tree" | "blob")) => RemoteError::NotACommit {
                            name: self.rev.as_str().to_owned(),
                            // The word that people know.
                            kind: if kind == "blob" { "file" } else { kind }.to_owned(),
                        },
                        _ => error.into(),
                    },
                );
            }
            Err(error) => return Err(error.into()),
        };
        self.committed = committed;
        self.last = Some((fetched, commit.clone()));
        Ok(commit)
    }

    /// Finds out why the ref was not found: git says the same of an empty repository and of a branch
    /// that is not there. What cannot be found out leaves git's own error.
    async fn missing(
        &self,
        git: &Git,
        mirror: &Mirror,
        error: GitError,
        deadline: Instant,
    ) -> RemoteError {
        let name = self.rev.as_str();
        if name.parse::<Hash>().is_ok() {
            return error.into();
        }
        let listed = git
            .command("ls-remote")
            .git_dir(mirror.git_dir())
            .arg("--quiet")
            .user_args([self.url.as_str()])
            .run(deadline)
            .await;
        match listed {
            Err(_) => error.into(),
            Ok(listed) if listed.is_empty() => RemoteError::Empty(error),
            Ok(_) if self.rev != Revision::default() => RemoteError::NoRef {
                name: name.to_owned(),
                error,
            },
            Ok(_) => match mirror.unborn_branch(git, &self.url, deadline).await {
                Some(branch) => RemoteError::NoDefaultBranch { branch, error },
                None => RemoteError::NoHead(error),
            },
        }
    }

    /// Forgets what the last fetch gave, since the mirror was made anew.
    pub(crate) fn forget(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_by_gits_rules() {
        let hash = |digit: &str| digit.repeat(40);
        let listed = [
            ("1", "HEAD"),
            ("2", "refs/heads/feature/main"),
            ("3", "refs/heads/main"),
            ("4", "refs/heads/v1"),
            ("5", "refs/tags/v1"),
            ("6", "refs/tags/v1^{}"),
        ];
        let listed = listed.map(|(digit, name)| format!("{}\t{name}\n", hash(digit)));
        for (rev, expected) in [
            ("HEAD", Some("1")),
            ("main", Some("3")),
            ("heads/main", Some("3")),
            ("refs/heads/v1", Some("4")),
            ("v1", Some("6")),
            ("feature", None),
        ] {
            let found = named(&listed.concat(), rev);
            let found = found.as_ref().map(Hash::as_str);
            assert_eq!(found, expected.map(hash).as_deref(), "{rev}");
        }
    }
}
