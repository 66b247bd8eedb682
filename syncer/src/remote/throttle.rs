//! Servers that requested a pause (`Retry-After`), and until when.
//!
//! It is shared by all repositories of the process: a pause applies to all requests of the same
//! user. git does not print headers, so after a 429 or 503 of git the syncer sends the server one
//! request of its own.

use std::collections::HashMap;
use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::time::Duration;
use std::time::SystemTime;

use jiff::fmt::rfc2822;
use reqwest::Response;
use reqwest::StatusCode;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use reqwest::header::RETRY_AFTER;
use tokio::time::Instant;

use crate::remote::auth::RemoteCredentials;
use crate::remote::web;
use crate::remote::web::RedirectPolicy;
use crate::remote::web::Trust;
use crate::system::lock::lock;

/// The upper bound of a server's `Retry-After`: a wrong date must not stop syncing.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// The timeout of the request for the header.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A server with the user that it sees.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Client {
    origin: String,
    /// A hash, not the password itself.
    user: u64,
}

impl Client {
    /// The client for a repository at this address with these credentials; `None` unless it is
    /// http(s), since only such servers send `Retry-After`.
    pub(crate) fn of(url: &str, grant: &RemoteCredentials) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        if let Some(user) = &grant.http {
            (&user.username, &user.password).hash(&mut hasher);
        }
        grant.cookie_file.hash(&mut hasher);
        Some(Self {
            origin: url.origin().ascii_serialization(),
            user: hasher.finish(),
        })
    }
}

/// The end of each server's pause.
#[derive(Clone, Default)]
pub(crate) struct Throttle(Arc<Mutex<HashMap<Client, Instant>>>);

impl Throttle {
    /// Records that a server requested a pause of this length.
    pub(crate) fn note(&self, client: &Client, wait: Duration) {
        let now = Instant::now();
        let until = now + wait.min(LONGEST);
        let mut known = self.lock();
        known.retain(|_, until| *until > now);
        let noted = known.entry(client.clone()).or_insert(until);
        *noted = until.max(*noted);
        tracing::info!(
            server = client.origin,
            waitTime = ?wait.min(LONGEST),
            "the server requests a pause (Retry-After)"
        );
    }

    /// Whether no pause was ever recorded, the usual case.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// The remaining pause of a server.
    pub(crate) fn remaining(&self, client: &Client) -> Option<Duration> {
        let until = *self.lock().get(client)?;
        let remaining = until.saturating_duration_since(Instant::now());
        (!remaining.is_zero()).then_some(remaining)
    }

    /// Asks a server that has just answered git with 429 or 503 for its `Retry-After`, and records
    /// it. It sends one request, and none if a pause is already known; without an answer the
    /// failure is treated like any other.
    pub(crate) async fn inquire(&self, client: &Client, url: &str, grant: &RemoteCredentials) {
        if self.remaining(client).is_some() {
            return;
        }
        match retry_after(url, grant).await {
            Ok(Some(wait)) => self.note(client, wait),
            Ok(None) => {}
            Err(reason) => {
                tracing::info!(v = 2, reason, "cannot read the server's Retry-After");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Client, Instant>> {
        lock(&self.0)
    }
}

/// Whether an address answers with a web page, such as a sign-in page with the status 200 or 203:
/// git may take it for an empty repository. False if there is no answer.
pub(crate) async fn answers_with_page(url: &str, grant: &RemoteCredentials) -> bool {
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return false;
    }
    match begin(url, grant).await {
        Ok(answer) => answer
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html")),
        Err(reason) => {
            tracing::info!(v = 2, reason, "the server does not answer");
            false
        }
    }
}

async fn retry_after(url: &str, grant: &RemoteCredentials) -> Result<Option<Duration>, String> {
    let answer = begin(url, grant).await?;
    if !asks_for_rest(answer.status()) {
        return Ok(None);
    }
    let header = answer.headers().get(RETRY_AFTER);
    Ok(header.and_then(|value| parse(value.to_str().ok()?, SystemTime::now())))
}

/// Sends the first request of git's protocol.
async fn begin(url: &str, grant: &RemoteCredentials) -> Result<Response, String> {
    let url = format!(
        "{}/info/refs?service=git-upload-pack",
        url.trim_end_matches('/')
    );
    let url = Url::parse(&url).map_err(|error| error.to_string())?;
    let trust = Trust::of_git(grant.ca.as_deref());
    let answer = web::send(&trust, RedirectPolicy::Poll, &url, |client| {
        let request = client.get(url.clone()).timeout(TIMEOUT);
        match &grant.http {
            Some(user) => request.basic_auth(&user.username, Some(&user.password)),
            None => request,
        }
    });
    answer.await.map_err(|error| error.to_string())
}

/// Whether the `Retry-After` of a response with this status applies to all requests and not only to
/// this one.
pub(crate) fn asks_for_rest(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    )
}

/// Parses the header (RFC 9110, 10.2.3): a number of seconds, or a date.
pub(crate) fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = rfc2822::parse(value).ok()?.timestamp();
    Some(
        SystemTime::from(date)
            .duration_since(now)
            .unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Credentials;

    fn grant(password: &str) -> RemoteCredentials {
        RemoteCredentials {
            http: Some(Credentials {
                username: "me".to_owned(),
                password: password.to_owned(),
            }),
            ..RemoteCredentials::default()
        }
    }

    fn client(url: &str, password: &str) -> Client {
        Client::of(url, &grant(password)).unwrap()
    }

    #[test]
    fn the_header_is_a_number_of_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_420);
        for (value, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(60)),
            ("Wed, 21 Oct 2015 07:26:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(
                parse(value, now),
                seconds.map(Duration::from_secs),
                "{value:?}"
            );
        }
    }

    #[test]
    fn a_servers_pause_applies_to_one_user_of_all_repositories() {
        let throttle = Throttle::default();
        let asked = client("https://git.example/a.git", "secret");
        throttle.clone().note(&asked, Duration::from_secs(60));
        let remaining = |url, password| throttle.remaining(&client(url, password));
        let wait = remaining("https://git.example:443/b.git", "secret").unwrap();
        assert!(wait > Duration::from_secs(50) && wait <= Duration::from_secs(60));
        for (url, password) in [
            ("https://git.example/a.git", "other"),
            ("https://git.example:444/a.git", "secret"),
            ("http://git.example/a.git", "secret"),
            ("https://other.example/a.git", "secret"),
        ] {
            assert_eq!(remaining(url, password), None, "{url}");
        }
        assert!(!format!("{asked:?}").contains("secret"));
    }

    #[test]
    fn a_pause_is_at_most_an_hour_and_a_shorter_one_does_not_end_a_longer_one() {
        let throttle = Throttle::default();
        let asked = client("https://git.example/", "secret");
        throttle.note(&asked, Duration::from_secs(1_000_000));
        throttle.note(&asked, Duration::from_secs(1));
        let wait = throttle.remaining(&asked).unwrap();
        assert!(
            wait > Duration::from_secs(3500) && wait <= LONGEST,
            "{wait:?}"
        );
        throttle.note(&client("https://other.example/", ""), Duration::ZERO);
        assert_eq!(
            throttle.remaining(&client("https://other.example/", "")),
            None
        );
    }

    #[test]
    fn only_http_servers_say_when_to_come_again() {
        for url in ["ssh://git@git.example/x", "git@git.example:x", "/srv/x"] {
            assert_eq!(
                Client::of(url, &RemoteCredentials::default()),
                None,
                "{url}"
            );
        }
    }
}
