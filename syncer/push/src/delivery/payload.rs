//! The addresses of a repository in the payload of a delivery.

use std::borrow::Cow;

use args::RepoUrl;
use args::wake;
use serde_json::Value;
use url::Url;
use url::form_urlencoded;

/// The places of an address, as JSON pointers (RFC 6901).
const PLACES: [&str; 9] = [
    // GitHub, Gitea, Forgejo, Gogs ("push").
    "/repository/clone_url",
    "/repository/ssh_url",
    // GitLab ("Push Hook", "Tag Push Hook"); its system hooks have the same.
    "/project/git_http_url",
    "/project/git_ssh_url",
    "/repository/git_http_url",
    "/repository/git_ssh_url",
    // Azure DevOps ("git.push").
    "/resource/repository/remoteUrl",
    "/resource/repository/sshUrl",
    // Bitbucket Cloud ("repo:push"): the page has the address of the repository.
    "/repository/links/html/href",
];

/// Bitbucket Data Center ("repo:refs_changed"): a list of `{"href": …, "name": …}`.
const CLONE_LINKS: &str = "/repository/links/clone";

/// The number of entries of that list that are read.
const MOST_LINKS: usize = 8;

/// The longest address in bytes; a longer one is no address.
const LONGEST_ADDRESS: usize = 1024;

/// Parses a payload. The result is empty if the payload is in no known form, or names no repository.
pub(crate) fn addresses(payload: &[u8]) -> Vec<Url> {
    let Ok(payload) = serde_json::from_slice::<Value>(&json(payload)) else {
        return Vec::new();
    };
    let links = payload.pointer(CLONE_LINKS).and_then(Value::as_array);
    let links = links.into_iter().flatten().take(MOST_LINKS);
    let links = links.filter_map(|link| link.get("href"));
    let values = PLACES.iter().filter_map(|place| payload.pointer(place));
    let mut found: Vec<Url> = values.chain(links).filter_map(address).collect();
    found.sort();
    found.dedup();
    found
}

/// The JSON text of a payload. GitHub's default is a form with the JSON in the field `payload`.
fn json(payload: &[u8]) -> Cow<'_, [u8]> {
    if !payload.starts_with(b"payload=") {
        return Cow::Borrowed(payload);
    }
    let field = form_urlencoded::parse(payload).next();
    field.map_or_else(Cow::default, |(_, value)| match value {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    })
}

fn address(value: &Value) -> Option<Url> {
    let text = value
        .as_str()
        .filter(|text| text.len() <= LONGEST_ADDRESS)?;
    wake::address(&text.parse::<RepoUrl>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The part of each host's documented push payload that names the repository.
    const DOCUMENTED: [(&str, &str, &[&str]); 8] = [
        (
            "GitHub",
            r#"{"ref": "refs/heads/main", "repository": {"id": 1, "full_name": "Codertocat/Hello-World",
                "html_url": "https://github.com/Codertocat/Hello-World",
                "git_url": "git://github.com/Codertocat/Hello-World.git",
                "ssh_url": "git@github.com:Codertocat/Hello-World.git",
                "clone_url": "https://github.com/Codertocat/Hello-World.git"}}"#,
            &[
                "https://github.com/Codertocat/Hello-World.git",
                "ssh://github.com/Codertocat/Hello-World.git",
            ],
        ),
        (
            "Gitea",
            r#"{"ref": "refs/heads/develop", "repository": {"id": 140, "html_url": "http://localhost:3000/gitea/webhooks",
                "ssh_url": "ssh://gitea@localhost:2222/gitea/webhooks.git",
                "clone_url": "http://localhost:3000/gitea/webhooks.git"}}"#,
            &[
                "http://localhost:3000/gitea/webhooks.git",
                "ssh://localhost:2222/gitea/webhooks.git",
            ],
        ),
        (
            "GitLab",
            r#"{"object_kind": "push", "project": {"id": 15, "git_ssh_url": "git@example.com:mike/diaspora.git",
                "git_http_url": "http://example.com/mike/diaspora.git", "url": "git@example.com:mike/diaspora.git"},
                "repository": {"name": "Diaspora", "git_http_url": "http://example.com/mike/diaspora.git",
                "git_ssh_url": "git@example.com:mike/diaspora.git"}}"#,
            &[
                "http://example.com/mike/diaspora.git",
                "ssh://example.com/mike/diaspora.git",
            ],
        ),
        (
            "Bitbucket Cloud",
            r#"{"repository": {"type": "repository", "full_name": "team_name/repo_name", "links": {
                "self": {"href": "https://api.bitbucket.org/2.0/repositories/bitbucket/bitbucket"},
                "html": {"href": "https://bitbucket.org/bitbucket/bitbucket"}}}}"#,
            &["https://bitbucket.org/bitbucket/bitbucket"],
        ),
        (
            "Bitbucket Data Center",
            r#"{"eventKey": "repo:refs_changed", "repository": {"slug": "repo", "links": {
                "clone": [{"href": "ssh://git@bitbucketserver:7999/myproject/test-repo.git", "name": "ssh"},
                          {"href": "https://bitbucketserver/scm/myproject/test-repo.git", "name": "http"}],
                "self": [{"href": "https://bitbucketserver/projects/MYPROJECT/repos/test-repo/browse"}]}}}"#,
            &[
                "https://bitbucketserver/scm/myproject/test-repo.git",
                "ssh://bitbucketserver:7999/myproject/test-repo.git",
            ],
        ),
        (
            "Azure DevOps",
            r#"{"eventType": "git.push", "resource": {"repository": {"id": "278d5cd2",
                "url": "https://dev.azure.com/fabrikam-fiber-inc/DefaultCollection/_apis/git/repositories/278d5cd2",
                "remoteUrl": "https://fabrikam-fiber-inc@dev.azure.com/fabrikam-fiber-inc/_git/Fabrikam"}}}"#,
            &["https://dev.azure.com/fabrikam-fiber-inc/_git/Fabrikam"],
        ),
        (
            "Azure DevOps without details",
            r#"{"eventType": "git.push", "resource": null}"#,
            &[],
        ),
        (
            "a ping",
            r#"{"zen": "Design for failure.", "hook_id": 1}"#,
            &[],
        ),
    ];

    #[test]
    fn the_payload_of_each_git_host_names_its_repository() {
        for (host, payload, expected) in DOCUMENTED {
            let found = addresses(payload.as_bytes());
            let found: Vec<_> = found.iter().map(Url::as_str).collect();
            assert_eq!(found, expected, "{host}");
            let form: String = form_urlencoded::Serializer::new(String::new())
                .append_pair("payload", payload)
                .finish();
            let found = addresses(form.as_bytes());
            let found: Vec<_> = found.iter().map(Url::as_str).collect();
            assert_eq!(found, expected, "{host}, as a form");
        }
    }

    #[test]
    fn what_is_no_address_is_left_out() {
        for text in [
            r#"{"repository": {"clone_url": "ext::sh -c id", "ssh_url": "-oProxyCommand=id:x"}}"#,
            r#"{"repository": {"clone_url": "/srv/x", "ssh_url": 5}}"#,
            r#"{"repository": []}"#,
            r#"{"repository": {"links": {"clone": {"href": "https://git.example/x"}}}}"#,
            r#"{"repository": {"clone_url": "https://git.example/x"}"#,
            "payload=%7B",
            "",
        ] {
            assert_eq!(addresses(text.as_bytes()), [], "{text}");
        }
        let long = format!(
            r#"{{"repository": {{"clone_url": "https://git.example/{}"}}}}"#,
            "x".repeat(2048)
        );
        assert_eq!(addresses(long.as_bytes()), []);
        let deep = "[".repeat(60_000);
        assert_eq!(addresses(deep.as_bytes()), []);
    }

    proptest! {
        #[test]
        fn no_payload_panics(payload: Vec<u8>) {
            addresses(&payload);
        }

        #[test]
        fn no_damaged_payload_panics(which in 0..DOCUMENTED.len(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let mut payload = DOCUMENTED[which].1.as_bytes().to_vec();
            let at = at.index(payload.len());
            payload[at] = byte;
            addresses(&payload);
            payload.truncate(cut.index(payload.len()));
            addresses(&payload);
        }

        #[test]
        fn no_address_panics_and_none_has_credentials(text in "(https://|ssh://|git@|)[ -~]{0,40}") {
            let payload = serde_json::json!({"repository": {"clone_url": text}}).to_string();
            for url in addresses(payload.as_bytes()) {
                prop_assert!(url.username().is_empty() && url.password().is_none(), "{}", url);
            }
        }
    }
}
