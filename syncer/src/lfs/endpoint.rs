//! The server of a repository (git-lfs, docs/api/server-discovery.md and authentication.md).

use std::collections::BTreeMap;

use args::SshAddress;
use reqwest::Url;
use reqwest::header::HeaderMap;
use reqwest::header::HeaderName;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use crate::git::GitError;
use crate::git::Hash;
use crate::git::Repository;
use crate::lfs::LfsError;
use crate::lfs::http::Access;

/// The file of a repository with settings of Git LFS, and the key of the server's address.
const CONFIG: &str = ".lfsconfig";
const URL: &str = "^lfs\\.url$";

/// Headers of an answer that would change the request itself.
const IGNORED_HEADERS: [&str; 5] = [
    "connection",
    "content-length",
    "host",
    "range",
    "transfer-encoding",
];

/// The server's address, and headers for it alone.
pub(super) struct Endpoint {
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
}

/// The answer of `git-lfs-authenticate`.
#[derive(Deserialize)]
struct SshAnswer {
    #[serde(default)]
    href: Option<String>,
    #[serde(default)]
    header: BTreeMap<String, String>,
}

/// Finds the server of a repository: `lfs.url` of the commit's `.lfsconfig`, the answer over ssh, or
/// the path below the repository's address.
pub(super) async fn find(
    access: &Access,
    repository: Repository<'_>,
    commit: &Hash,
) -> Result<Endpoint, LfsError> {
    if let Some(url) = configured(repository, commit).await? {
        let headers = HeaderMap::new();
        return Ok(Endpoint { url, headers });
    }
    if let Some(ssh) = &access.ssh {
        let answer = repository.session.lfs_authenticate(ssh).await?;
        return of_ssh(ssh, &answer);
    }
    let mut url = access.url.clone().ok_or(LfsError::NoServer)?;
    url.set_path(&derived(url.path()));
    Ok(Endpoint {
        url,
        headers: HeaderMap::new(),
    })
}

/// `lfs.url` of a commit; user and password in it are ignored.
async fn configured(repository: Repository<'_>, commit: &Hash) -> Result<Option<Url>, LfsError> {
    if !repository.ls_tree_has(commit, CONFIG).await? {
        return Ok(None);
    }
    let pairs = match repository.config_blob(commit, CONFIG, URL).await {
        // The key is not set.
        Err(GitError::Failed { code: Some(1), .. }) => return Ok(None),
        other => other?,
    };
    let Some((_, value)) = pairs.last() else {
        return Ok(None);
    };
    let url = Url::parse(value.trim_end_matches('/')).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
    let mut url = url.ok_or(LfsError::ConfiguredUrl)?;
    // It cannot fail for an address with a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Ok(Some(url))
}

fn of_ssh(ssh: &SshAddress, answer: &str) -> Result<Endpoint, LfsError> {
    let answer: SshAnswer = serde_json::from_str(answer).map_err(|_| LfsError::SshAnswer)?;
    let url = answer.href.filter(|href| !href.is_empty());
    let url = url.unwrap_or_else(|| {
        let host = match ssh.host.contains(':') {
            true => format!("[{}]", ssh.host),
            false => ssh.host.clone(),
        };
        format!("https://{host}{}", derived(ssh.web_path()))
    });
    Ok(Endpoint {
        url: Url::parse(url.trim_end_matches('/')).map_err(|_| LfsError::SshAnswer)?,
        headers: headers_of(&answer.header),
    })
}

/// The path of the server below a repository's path.
fn derived(path: &str) -> String {
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    format!("/{path}.git/info/lfs")
}

/// The headers of an answer; malformed ones are ignored.
pub(super) fn headers_of(given: &BTreeMap<String, String>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let name = HeaderName::try_from(name.to_ascii_lowercase());
        if let (Ok(name), Ok(mut value)) = (name, HeaderValue::try_from(value))
            && !IGNORED_HEADERS.contains(&name.as_str())
        {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_below_the_repositorys_address() {
        for (path, expected) in [
            ("/org/site.git", "/org/site.git/info/lfs"),
            ("/org/site", "/org/site.git/info/lfs"),
            ("/org/site/", "/org/site.git/info/lfs"),
        ] {
            assert_eq!(derived(path), expected);
        }
    }

    #[test]
    fn an_answer_over_ssh_may_lack_the_address() {
        let ssh = SshAddress::parse("git@git.example:org/site.git").unwrap();
        let of_ssh = |answer| of_ssh(&ssh, answer);
        let found = of_ssh(r#"{"header": {"Authorization": "x", "Host": "y"}}"#).unwrap();
        assert_eq!(
            found.url.as_str(),
            "https://git.example/org/site.git/info/lfs"
        );
        assert_eq!(found.headers.len(), 1);
        let found = of_ssh(r#"{"href": "https://lfs.example/x/", "expires_in": 3}"#).unwrap();
        assert_eq!(found.url.as_str(), "https://lfs.example/x");
        assert!(of_ssh("Welcome!").is_err());
    }
}
