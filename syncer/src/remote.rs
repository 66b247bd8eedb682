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
    ) -> Result<Hash, GitError> {
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
        fetch
            .user_args([self.url.as_str(), self.rev.as_str()])
            .run(deadline)
            .await?;
        let fetched = mirror.fetch_head()?;
        if let Some((object, commit)) = &self.last
            && *object == fetched
        {
            return Ok(commit.clone());
        }
        let (commit, committed) = mirror.commit_of(git, "FETCH_HEAD", deadline).await?;
        self.committed = committed;
        self.last = Some((fetched, commit.clone()));
        Ok(commit)
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
