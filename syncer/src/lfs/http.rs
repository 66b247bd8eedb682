//! Requests to servers of Git LFS: only to allowed hosts, and with credentials only to their own
//! server.

use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use args::LfsHosts;
use args::RepoKind;
use args::RepoUrl;
use args::SshAddress;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::Response;
use reqwest::Url;
use reqwest::header::AUTHORIZATION;
use reqwest::header::CONTENT_TYPE;
use reqwest::header::HeaderMap;
use reqwest::header::HeaderValue;
use reqwest::header::LOCATION;
use reqwest::header::RETRY_AFTER;

use crate::config::Credentials;
use crate::config::RepoConfig;
use crate::lfs::LfsError;
use crate::lfs::error::Problem;
use crate::remote::auth::RemoteCredentials;
use crate::remote::throttle;
use crate::remote::web;
use crate::remote::web::RedirectPolicy;
use crate::remote::web::Trust;

/// The maximum number of redirects of one request.
const MAX_REDIRECTS: usize = 5;

/// The timeout for the head of a response, and for each further part of it.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The limit of an error's text in bytes, and of the part that is shown in characters.
const LONGEST_ERROR: usize = 16 << 10;
const LONGEST_MESSAGE: usize = 200;

/// A repository, or a submodule, and what it permits.
pub(super) struct Access {
    /// The address, if it is http(s), without user and password.
    pub(super) url: Option<Url>,
    /// The address, if it is one of ssh.
    pub(super) ssh: Option<SshAddress>,
    /// User and password for the server of `url` alone.
    http: Option<Credentials>,
    /// Whether this is the server that the syncer polls, so that a pause that it requests applies
    /// to the next passes.
    is_polled: bool,
    allowed: LfsHosts,
    grant: Arc<RemoteCredentials>,
    trust: Trust,
}

/// A request before it is sent.
#[derive(Clone)]
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) url: Url,
    /// Headers that every server may see.
    pub(super) public: HeaderMap,
    /// Headers for the server of `url` alone.
    pub(super) private: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Access {
    pub(super) fn new(config: &RepoConfig, grant: Arc<RemoteCredentials>) -> Self {
        let repo = &config.repo;
        let is = |kind| (repo.kind == kind).then_some(&*repo.url);
        Self {
            url: is(RepoKind::Http).and_then(|url| Url::parse(url).ok()),
            ssh: is(RepoKind::Ssh).and_then(SshAddress::parse),
            http: grant.http.clone(),
            is_polled: true,
            allowed: config.lfs_allowed_hosts.clone(),
            trust: Trust::of_git(grant.ca.as_deref()),
            grant,
        }
    }

    /// The same for a submodule that git fetched from this address: its own server, and the
    /// credentials that git had for that.
    pub(super) fn of_submodule(&self, address: &str) -> Result<Self, LfsError> {
        let repo: RepoUrl = address.parse().map_err(|_| LfsError::NoServer)?;
        let plain = repo.without_user();
        // An address that git may parse differently has no known host.
        let is_http = repo.kind() == RepoKind::Http && repo.host().is_some();
        let url = is_http.then(|| Url::parse(&plain).ok()).flatten();
        let http = match &url {
            Some(_) => self.grant.list.of_address(&plain, repo.user_info())?,
            None => None,
        };
        let ssh = repo.ssh();
        let host = |ssh: &Option<SshAddress>| ssh.as_ref().map(|ssh| ssh.host.clone());
        let is_polled = match (&url, &self.url) {
            (Some(own), Some(polled)) => own.origin() == polled.origin(),
            (None, None) => host(&ssh) == host(&self.ssh),
            _ => false,
        };
        Ok(Self {
            url,
            ssh,
            http,
            is_polled,
            allowed: self.allowed.clone(),
            grant: self.grant.clone(),
            trust: self.trust.clone(),
        })
    }

    /// Refuses an address that is neither on the repository's own server nor on an allowed host.
    pub(super) fn check(&self, url: &Url, redirected: bool) -> Result<(), Problem> {
        if self.is_own(url) {
            return Ok(());
        }
        let default = match url.scheme() {
            "https" => 443,
            "http" => 80,
            _ => return Err(Problem::Address),
        };
        let name = url.host_str().unwrap_or_default();
        let port = url.port().unwrap_or(default);
        let is_ssh_host = self.ssh.as_ref().is_some_and(|ssh| {
            name.trim_matches(['[', ']'])
                .eq_ignore_ascii_case(&ssh.host)
                && port == default
        });
        let host = web::host(url);
        if !is_ssh_host && !self.allowed.allows(name, port, default) {
            return Err(Problem::Host { redirected, host });
        }
        let is_plain = self.url.as_ref().is_some_and(|own| own.scheme() == "http");
        if url.scheme() == "http" && !is_plain {
            return Err(Problem::Plain(host));
        }
        Ok(())
    }

    /// Whether an address is on the server of an http(s) repository.
    fn is_own(&self, url: &Url) -> bool {
        self.url
            .as_ref()
            .is_some_and(|own| own.origin() == url.origin())
    }

    /// Sends a request and follows redirects to allowed hosts. Any response other than a success is
    /// an error.
    pub(super) async fn send(&self, request: &Outgoing) -> Result<Response, Problem> {
        let mut url = request.url.clone();
        for hop in 0..=MAX_REDIRECTS {
            self.check(&url, hop > 0)?;
            let response = self.send_to(request, &url).await?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            // A 303 changes the method, which no server of Git LFS needs.
            if !matches!(status.as_u16(), 301 | 302 | 307 | 308) {
                return Err(refusal(response, self.is_polled).await);
            }
            let location = response.headers().get(LOCATION);
            let location = location.and_then(|location| location.to_str().ok());
            url = location
                .and_then(|location| url.join(location).ok())
                .ok_or(Problem::Address)?;
        }
        Err(Problem::Redirects)
    }

    async fn send_to(&self, request: &Outgoing, url: &Url) -> Result<Response, Problem> {
        let mut headers = request.public.clone();
        if url.origin() == request.url.origin() {
            headers.extend(request.private.clone());
        }
        if self.is_own(url)
            && !headers.contains_key(AUTHORIZATION)
            && let Some(user) = &self.http
        {
            let user = STANDARD.encode(format!("{}:{}", user.username, user.password));
            if let Ok(mut value) = HeaderValue::try_from(format!("Basic {user}")) {
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
        }
        let sent = web::send(&self.trust, RedirectPolicy::Poll, url, |client| {
            let sent = client.request(request.method.clone(), url.clone());
            let sent = sent.headers(headers);
            match request.body.is_empty() {
                true => sent,
                false => sent.body(request.body.clone()),
            }
        });
        match tokio::time::timeout(STALL_TIMEOUT, sent).await {
            Ok(sent) => sent.map_err(Problem::Web),
            Err(_) => Err(Problem::Stalled(STALL_TIMEOUT)),
        }
    }
}

/// Whether a response is a web page.
pub(super) fn is_page(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

/// The next part of a response's body; `None` at its end.
pub(super) async fn chunk(response: &mut Response) -> Result<Option<bytes::Bytes>, Problem> {
    match tokio::time::timeout(STALL_TIMEOUT, response.chunk()).await {
        Ok(Ok(chunk)) => Ok(chunk),
        Ok(Err(error)) => Err(Problem::Web(web::error::WebError::Call(
            error.without_url(),
        ))),
        Err(_) => Err(Problem::Stalled(STALL_TIMEOUT)),
    }
}

/// Reads a body of limited length.
pub(super) async fn body(response: &mut Response, longest: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = chunk(response).await? {
        if bytes.len() + chunk.len() > longest {
            return Err(Problem::TooLong);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

async fn refusal(mut response: Response, is_polled: bool) -> Problem {
    let status = response.status();
    let wait = response.headers().get(RETRY_AFTER);
    let wait = wait.and_then(|value| throttle::parse(value.to_str().ok()?, SystemTime::now()));
    let wait = wait.filter(|_| is_polled && throttle::asks_for_rest(status));
    // The status is the answer, whatever its body is.
    let text = body(&mut response, LONGEST_ERROR).await.unwrap_or_default();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    let message = json.get("message").and_then(serde_json::Value::as_str);
    Problem::Status {
        status,
        message: message.map(shown),
        wait,
    }
}

/// A server's text, redacted and on one short line.
pub(super) fn shown(text: &str) -> String {
    let text = crate::redact::redact(text);
    let text = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    text.take(LONGEST_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use args::RepoArgs;

    fn access(repo: &str, allowed: &str) -> Access {
        let mut args = RepoArgs::new(repo.parse().unwrap(), "/git");
        args.lfs_allowed_hosts = allowed.parse().unwrap();
        let config = RepoConfig::new(args, Arc::default()).unwrap();
        Access::new(&config, Arc::default())
    }

    #[test]
    fn an_address_is_on_the_repositorys_server_or_an_allowed_host() {
        let own = "https://git.example/site.git";
        let ssh = "git@git.example:site.git";
        for (repo, allowed, url, expected) in [
            (own, "", "https://git.example/x", true),
            (own, "", "https://git.example:443/x", true),
            (own, "", "https://git.example:8443/x", false),
            (own, "git.example:8443", "https://git.example:8443/x", true),
            (own, "", "http://git.example/x", false),
            (own, "git.example:80", "http://git.example/x", false),
            (own, "", "https://git.example.evil.example/x", false),
            (own, "", "https://git.example@evil.example/x", false),
            (own, "*.cdn.example", "https://a.cdn.example/x", true),
            (own, "*.cdn.example", "ftp://a.cdn.example/x", false),
            (
                "http://git.example:3000/x",
                "media.example",
                "http://media.example/x",
                true,
            ),
            (ssh, "", "https://git.example/x", true),
            (ssh, "", "http://git.example/x", false),
            (ssh, "", "https://git.example:8443/x", false),
            ("/srv/site.git", "", "https://git.example/x", false),
        ] {
            let url: Url = url.parse().unwrap();
            let access = access(repo, allowed);
            assert_eq!(access.check(&url, false).is_ok(), expected, "{repo} {url}");
        }
    }

    #[test]
    fn a_servers_message_is_one_short_line() {
        let text = shown(&format!("a\nb\u{7}{}", "x".repeat(1000)));
        assert!(text.starts_with("a b x") && text.len() == LONGEST_MESSAGE);
    }
}
