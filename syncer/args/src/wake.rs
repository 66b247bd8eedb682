//! The message that says that repositories may have changed: the push receiver sends it, each
//! replica of the cache reads it.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::RepoKind;
use crate::RepoUrl;
use crate::SshAddress;

/// The path on which a replica of the cache takes a [`Wake`].
pub const PATH: &str = "/wake";

/// The path on which a replica of the cache takes a [`Watch`], if it takes wake-ups.
///
/// `Prefer: wait=N` with `If-None-Match: ETAG` holds the request until a wake-up names the repository
/// (200), or until N seconds have passed (304); both have an `ETag`. An `If-None-Match` that is
/// not the present tag, or none, is answered at once with 200: there may have been a wake-up. Replicas have
/// different tags. 404 if the cache takes no wake-ups.
pub const WATCH_PATH: &str = "/watch";

/// A request to wait for wake-ups of a repository that the cache does not poll itself, such as one over
/// ssh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// The address, as [`address`] gives it.
    pub repository: Url,
}

/// Repositories that may have changed. It carries no commit, so a false one costs one look at the
/// git host and no more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wake {
    /// Addresses of single repositories, with or without `.git` at the end.
    #[serde(default)]
    pub repositories: Vec<Url>,
    /// Addresses whose repositories are all named: `https://git.example/team` names
    /// `https://git.example/team/site.git` and not `https://git.example/team-b/site.git`.
    #[serde(default)]
    pub prefixes: Vec<Url>,
}

impl Wake {
    /// Whether this message names `repository`.
    pub fn names(&self, repository: &Url) -> bool {
        self.repositories
            .iter()
            .any(|named| is_same_repository(named, repository))
            || self
                .prefixes
                .iter()
                .any(|prefix| is_below(repository, prefix))
    }
}

/// The address of a repository as a [`Wake`] names it: `ssh://` also for `user@host:path`, and without
/// user, password, query and fragment. `None` for a repository on this machine.
pub fn address(repository: &RepoUrl) -> Option<Url> {
    let text = match repository.kind() {
        RepoKind::Http => repository.without_user(),
        RepoKind::Git => repository.reveal().to_owned(),
        RepoKind::Local => return None,
        RepoKind::Ssh => {
            let ssh = repository.ssh()?;
            let host = match ssh.host.contains(':') {
                true => format!("[{}]", ssh.host),
                false => ssh.host.clone(),
            };
            let port = match ssh.port {
                SshAddress::PORT => String::new(),
                port => format!(":{port}"),
            };
            format!("ssh://{host}{port}/{}", ssh.web_path())
        }
    };
    let mut url = Url::parse(&text).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    Some(url)
}

/// Whether `repository` is `prefix` or below it, by whole segments of the path. Many git hosts do not
/// distinguish upper and lower case in a path, so this does not either.
pub fn is_below(repository: &Url, prefix: &Url) -> bool {
    let (path, prefix_path) = (path(repository), path(prefix));
    let (head, rest) = path.split_at_checked(prefix_path.len()).unwrap_or_default();
    is_same_host(prefix, repository)
        && path.len() >= prefix_path.len()
        && head.eq_ignore_ascii_case(prefix_path)
        && (rest.is_empty() || rest.starts_with('/'))
}

/// Whether two addresses have the same scheme, host and port.
pub fn is_same_host(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// Whether two addresses name the same repository, with or without `.git` at the end.
pub fn is_same_repository(one: &Url, other: &Url) -> bool {
    is_same_host(one, other) && path(one).eq_ignore_ascii_case(path(other))
}

/// The path without what does not tell two repositories apart: a final `/` and `.git`.
fn path(address: &Url) -> &str {
    let path = address.path().trim_end_matches('/');
    path.strip_suffix(".git").unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect(text)
    }

    #[test]
    fn a_repository_is_named_with_and_without_its_ending() {
        let wake = Wake {
            repositories: vec![url("https://Git.example/team/site")],
            prefixes: vec![],
        };
        assert!(wake.names(&url("https://git.example/team/site.git")));
        assert!(wake.names(&url("https://git.example:443/team/site/")));
        assert!(wake.names(&url("https://git.example/Team/Site.git")));
        assert!(!wake.names(&url("http://git.example/team/site.git")));
        assert!(!wake.names(&url("https://git.example/team/site-b.git")));
    }

    #[test]
    fn a_prefix_names_whole_segments_of_a_path() {
        let wake = Wake {
            repositories: vec![],
            prefixes: vec![url("https://git.example/team/")],
        };
        assert!(wake.names(&url("https://git.example/team/site.git")));
        assert!(wake.names(&url("https://git.example/team/group/site.git")));
        assert!(!wake.names(&url("https://git.example/team-b/site.git")));
        assert!(!wake.names(&url("https://git.example.evil/team/site.git")));
    }

    #[test]
    fn an_address_without_a_path_names_the_whole_host() {
        assert!(is_below(
            &url("https://git.example/a.git"),
            &url("https://git.example")
        ));
    }

    #[test]
    fn an_address_has_one_form_whatever_git_accepts() {
        for (text, expected) in [
            (
                "https://me:pw@Git.example/team/x.git?a=b#c",
                Some("https://git.example/team/x.git"),
            ),
            (
                "git@git.example:team/x.git",
                Some("ssh://git.example/team/x.git"),
            ),
            (
                "ssh://git@git.example:22/team/x",
                Some("ssh://git.example/team/x"),
            ),
            (
                "ssh://git@git.example:7999/team/x",
                Some("ssh://git.example:7999/team/x"),
            ),
            ("git@[2001:db8::1]:x", Some("ssh://[2001:db8::1]/x")),
            ("git://git.example/x", Some("git://git.example/x")),
            ("/srv/x", None),
        ] {
            let found = address(&text.parse().expect(text));
            assert_eq!(found.as_ref().map(Url::as_str), expected, "{text}");
        }
    }
}
