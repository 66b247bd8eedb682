//! The message that says that repositories may have changed: the push receiver sends it, each
//! replica of the cache reads it.

use serde::{Deserialize, Serialize};
use url::Url;

/// The path on which a replica of the cache takes a [`Wake`].
pub const PATH: &str = "/wake";

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
            .any(|named| same_host(named, repository) && path(named) == path(repository))
            || self
                .prefixes
                .iter()
                .any(|prefix| is_below(repository, prefix))
    }
}

/// Whether `repository` is `prefix` or below it, by whole segments of the path.
pub fn is_below(repository: &Url, prefix: &Url) -> bool {
    same_host(prefix, repository)
        && path(repository)
            .strip_prefix(path(prefix))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn same_host(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
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
}
