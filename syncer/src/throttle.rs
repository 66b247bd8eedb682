//! Which servers asked to be left alone for a while (`Retry-After`), and until when.
//!
//! All repositories of the process share this: what a server says to one of them about a user it
//! says to all. git prints no header, so after its 429 or 503 the server is asked once by ourselves.

use std::collections::HashMap;
use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::SystemTime;

use jiff::fmt::rfc2822;
use reqwest::StatusCode;
use reqwest::Url;
use reqwest::header::RETRY_AFTER;
use tokio::time::Instant;

use crate::auth::Grant;
use crate::web;
use crate::web::Manner;
use crate::web::Trust;

/// Nobody is left alone for longer, whatever he says: a mistaken date must not end the syncing.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// How long the question for the header may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A server, and the user it sees.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Client {
    origin: String,
    /// Not the password itself.
    user: u64,
}

impl Client {
    /// Who asks for a repository at this address by this grant; only http(s) servers say when to
    /// come again.
    pub(crate) fn of(url: &str, grant: &Grant) -> Option<Self> {
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

/// Until when each server is left alone.
#[derive(Clone, Default)]
pub(crate) struct Throttle(Arc<Mutex<HashMap<Client, Instant>>>);

impl Throttle {
    /// Notes that a server wants to be left alone for this long.
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
            "the server asks to be left alone"
        );
    }

    /// Tells whether no server was ever noted: most never are.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// How long a server must still be left alone.
    pub(crate) fn remaining(&self, client: &Client) -> Option<Duration> {
        let until = *self.lock().get(client)?;
        let remaining = until.saturating_duration_since(Instant::now());
        (!remaining.is_zero()).then_some(remaining)
    }

    /// Asks a server that has just refused git with 429 or 503 when to come again, and notes it. One
    /// request, and none if it has told another repository already; without an answer the failure
    /// is like any other.
    pub(crate) async fn inquire(&self, client: &Client, url: &str, grant: &Grant) {
        if self.remaining(client).is_some() {
            return;
        }
        match retry_after(url, grant).await {
            Ok(Some(wait)) => self.note(client, wait),
            Ok(None) => {}
            Err(reason) => {
                tracing::info!(v = 2, reason, "the server does not say when to come again");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Client, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn retry_after(url: &str, grant: &Grant) -> Result<Option<Duration>, String> {
    let url = format!(
        "{}/info/refs?service=git-upload-pack",
        url.trim_end_matches('/')
    );
    let url = Url::parse(&url).map_err(|error| error.to_string())?;
    let trust = Trust::of_git(grant.ca.as_deref());
    let http = web::client(&trust, Manner::Poll, &url).map_err(|error| error.to_string())?;
    let mut request = http.get(url).timeout(TIMEOUT);
    if let Some(user) = &grant.http {
        request = request.basic_auth(&user.username, Some(&user.password));
    }
    // Its address is in the log already, and may hold what is secret in a query.
    let answer = request
        .send()
        .await
        .map_err(|error| error.without_url().to_string())?;
    if !asks_for_rest(answer.status()) {
        return Ok(None);
    }
    let header = answer.headers().get(RETRY_AFTER);
    Ok(header.and_then(|value| parse(value.to_str().ok()?, SystemTime::now())))
}

/// Tells whether an answer's `Retry-After` speaks of all requests, and not of this one alone.
pub(crate) fn asks_for_rest(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    )
}

/// Reads the header (RFC 9110, 10.2.3): a number of seconds, or a date.
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

    fn grant(password: &str) -> Grant {
        Grant {
            http: Some(Credentials {
                username: "me".to_owned(),
                password: password.to_owned(),
            }),
            ..Grant::default()
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
    fn a_server_is_left_alone_for_one_user_by_all_repositories() {
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
    fn nobody_is_left_alone_for_more_than_an_hour_and_a_shorter_wait_ends_no_longer_one() {
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
            assert_eq!(Client::of(url, &Grant::default()), None, "{url}");
        }
    }
}
