//! Resolution of the ref to a commit, by git's own `fetch`.

use std::time::SystemTime;

use args::Revision;
use args::VersionRange;
use args::VersionTag;

use crate::config::RepoConfig;
use crate::git::GitError;
use crate::git::GitSession;
use crate::git::Hash;
use crate::git::Repository;
use crate::git::failure::FailureCause;
use crate::poll::CacheOffer;
use crate::poll::RemoteRef;
use crate::repo::mirror::Mirror;

/// The reason why there is no commit to publish.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("the repository is empty: it has no commit yet ({0})")]
    Empty(GitError),
    #[error(
        "the server at this address does not speak the git protocol: it is a web page, such as a \
         sign-in page; check the address, and the credentials"
    )]
    Page,
    #[error(
        "the repository's default branch {branch:?} does not exist: push it, or set --ref to another branch ({error})"
    )]
    NoDefaultBranch { branch: String, error: GitError },
    #[error("the repository's HEAD points to nothing that exists: set --ref to a branch ({0})")]
    NoHead(GitError),
    #[error("the repository has no branch or tag {name:?} ({error})")]
    NoRef { name: String, error: GitError },
    #[error("the repository has no tag in the range {range:?}: {tags}")]
    NoTag { range: String, tags: String },
    #[error("{name:?} names a {kind}, not a commit")]
    NotACommit { name: String, kind: String },
}

/// The remote repository and the ref that is followed.
pub(crate) struct Remote {
    url: String,
    rev: Revision,
    depth: u32,
    filter: Option<String>,
    last: Option<Fetched>,
    /// The committer date of that commit.
    committed: Option<SystemTime>,
}

/// The result of a fetch.
pub(crate) struct Fetched {
    /// The object that the ref names, which may be an annotated tag.
    pub(crate) object: Hash,
    /// Its commit. The commit of an object never changes, so git resolves it only once.
    pub(crate) commit: Hash,
    /// The tag that a range of versions selected.
    pub(crate) tag: Option<String>,
}

/// Resolves the ref at the remote without a fetch.
pub(crate) async fn ask(git: GitSession<'_>, config: &RepoConfig) -> Result<Hash, RemoteError> {
    let url = &config.repo.url;
    if let Some(range) = config.rev.range() {
        let listed = git.ls_remote_tags(url).await?;
        let tag = highest(range, tags(&listed))?;
        return named(&listed, &full_name(&tag)).ok_or_else(|| not_found(&tag).into());
    }
    let rev = config.rev.as_str();
    let listed = git.ls_remote(url, rev).await?;
    named(&listed, rev).ok_or_else(|| not_found(rev).into())
}

/// git's error for a name that `git ls-remote` does not list.
fn not_found(name: &str) -> GitError {
    GitError::Failed {
        command: "git ls-remote".to_owned(),
        why: Some(FailureCause::RefNotFound),
        code: None,
        detail: format!("couldn't find remote ref {name}"),
    }
}

/// The full name of a tag, which names no branch.
pub(crate) fn full_name(tag: &str) -> String {
    format!("refs/tags/{tag}")
}

/// The names of the tags in the output of `git ls-remote`.
fn tags(listed: &str) -> impl Iterator<Item = &str> + Clone {
    listed.lines().filter_map(|line| {
        let (_, name) = line.split_once('\t')?;
        let tag = name.strip_prefix("refs/tags/");
        // The line after that of an annotated tag has the tag's target.
        tag.filter(|tag| !tag.ends_with("^{}"))
    })
}

/// The highest tag in a range; the error names the nearest ones.
pub(crate) fn highest<'a>(
    range: &VersionRange,
    tags: impl Iterator<Item = &'a str> + Clone,
) -> Result<String, RemoteError> {
    if let Some(tag) = range.highest(tags.clone()) {
        return Ok(tag.name().to_owned());
    }
    let nearest = range.nearest(tags.clone());
    let nearest: Vec<&str> = nearest.iter().map(VersionTag::name).collect();
    let tags = match (tags.count(), nearest.is_empty()) {
        (0, _) => "it has no tags".to_owned(),
        (count, true) => format!("none of its {count} tags is a version such as v1.2.0"),
        (_, false) => format!("the nearest tags are {}", nearest.join(", ")),
    };
    Err(RemoteError::NoTag {
        range: range.to_string(),
        tags,
    })
}

/// The commit of a name in the output of `git ls-remote`, by git's rules (`gitrevisions(7)`).
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
    /// Describes a remote without contacting it.
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

    /// The result of the last fetch.
    pub(crate) fn last(&self) -> Option<&Fetched> {
        self.last.as_ref()
    }

    /// The tag that the range of versions selected, if this is the last fetched commit.
    pub(crate) fn tag_of(&self, commit: &Hash) -> Option<&str> {
        let last = self.last.as_ref()?;
        last.tag.as_deref().filter(|_| last.commit == *commit)
    }

    /// The committer date of a commit, if it is the last fetched one.
    pub(crate) fn committed(&self, commit: &Hash) -> Option<SystemTime> {
        let last = self.last.as_ref()?;
        self.committed.filter(|_| last.commit == *commit)
    }

    /// Whether the ref is the full hash of this commit and therefore never changes.
    pub(crate) fn is_pinned_to(&self, commit: &Hash) -> bool {
        self.rev.as_str() == commit.as_str()
    }

    /// Fetches the ref into the mirror and returns its commit.
    pub(crate) async fn resolve(
        &mut self,
        git: GitSession<'_>,
        mirror: &Mirror,
    ) -> Result<Hash, RemoteError> {
        let repository = git.at(mirror.git_dir());
        let url = self.url.as_str();
        let tag = match self.rev.range() {
            Some(range) => Some(self.highest_tag(git, mirror, range).await?),
            None => None,
        };
        let rev = &tag.as_deref().map_or(self.rev.to_string(), full_name);
        let (filter, tip) = (self.filter.as_deref(), mirror.tip());
        let fetched = repository.fetch(url, rev, self.depth, filter, tip.as_deref());
        let fetched = match fetched.await {
            Ok(fetched) => fetched,
            Err(error) if error.why() == Some(FailureCause::RefNotFound) => {
                return Err(self.missing(git, mirror, rev, error).await);
            }
            Err(error) => return Err(error.into()),
        };
        self.peel(repository, rev, fetched, tag).await
    }

    /// Fetches into the mirror what the pull-through cache offers, by the object's id: so the cache
    /// cannot give another one, and every follower sends the same request.
    pub(crate) async fn resolve_from_cache(
        &mut self,
        git: GitSession<'_>,
        mirror: &Mirror,
        offer: CacheOffer,
    ) -> Result<Hash, RemoteError> {
        let repository = git.at(mirror.git_dir());
        let RemoteRef { object, tag } = offer.found;
        let (filter, tip) = (self.filter.as_deref(), mirror.tip());
        let id = object.as_str();
        let fetched = repository
            .fetch(offer.url.as_str(), id, self.depth, filter, tip.as_deref())
            .await?;
        // The cache is not shown to consumers.
        repository.rename_in_fetch_head(offer.url.as_str(), &self.url);
        let rev = self.rev.to_string();
        self.peel(repository, &rev, fetched, tag).await
    }

    /// Notes the fetched object and returns its commit.
    async fn peel(
        &mut self,
        repository: Repository<'_>,
        rev: &str,
        fetched: Hash,
        tag: Option<String>,
    ) -> Result<Hash, RemoteError> {
        if let Some(last) = &mut self.last
            && last.object == fetched
        {
            last.tag = tag;
            return Ok(last.commit.clone());
        }
        let (commit, committed) = match repository.rev_list_commit(&fetched).await {
            Ok(resolved) => resolved,
            Err(error @ GitError::Failed { .. }) => {
                return Err(match repository.cat_file_type(&fetched).await.as_deref() {
                    Ok(kind @ ("tree" | "blob")) => RemoteError::NotACommit {
                        name: rev.to_owned(),
                        // The common word for it.
                        kind: if kind == "blob" { "file" } else { kind }.to_owned(),
                    },
                    _ => error.into(),
                });
            }
            Err(error) => return Err(error.into()),
        };
        self.committed = committed;
        self.last = Some(Fetched {
            object: fetched,
            commit: commit.clone(),
            tag,
        });
        Ok(commit)
    }

    /// Lists the remote's tags and returns the highest one in the range.
    async fn highest_tag(
        &self,
        git: GitSession<'_>,
        mirror: &Mirror,
        range: &VersionRange,
    ) -> Result<String, RemoteError> {
        let repository = git.at(mirror.git_dir());
        let listed = repository.ls_remote_tags(&self.url).await?;
        if listed.is_empty() && !repository.ls_remote_any(&self.url).await? {
            return Err(RemoteError::Empty(not_found("refs/tags/*")));
        }
        highest(range, tags(&listed))
    }

    /// Determines why the ref was not found: git reports an empty repository and a missing branch
    /// alike. If that fails, git's own error is returned.
    async fn missing(
        &self,
        git: GitSession<'_>,
        mirror: &Mirror,
        name: &str,
        error: GitError,
    ) -> RemoteError {
        if name.parse::<Hash>().is_ok() {
            return error.into();
        }
        match git.at(mirror.git_dir()).ls_remote_any(&self.url).await {
            Err(_) => error.into(),
            Ok(false) => RemoteError::Empty(error),
            Ok(true) if self.rev != Revision::default() => RemoteError::NoRef {
                name: name.to_owned(),
                error,
            },
            Ok(true) => match mirror.unborn_branch(git, &self.url).await {
                Some(branch) => RemoteError::NoDefaultBranch { branch, error },
                None => RemoteError::NoHead(error),
            },
        }
    }

    /// Discards the result of the last fetch, since the mirror was recreated.
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
