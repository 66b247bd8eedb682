//! `--askpass-url`: an address that returns the user name and the password at each sync.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::Url;

use crate::config::Credentials;
use crate::remote::web;
use crate::remote::web::RedirectPolicy;
use crate::remote::web::Trust;
use crate::remote::web::error::WebError;

/// The timeout of the request, as in git-sync.
const TIMEOUT: Duration = Duration::from_secs(1);

/// An error of the request for credentials.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskpassError {
    #[error("cannot ask {place} for the user name and password")]
    Call { place: String, source: WebError },
    #[error("{place} (--askpass-url) answers {status}: expected 200")]
    Status { place: String, status: StatusCode },
    #[error(
        "{place} (--askpass-url) does not return credentials: expected the lines \
         username=… and password=…"
    )]
    Answer { place: String },
}

/// Requests the credentials of the repository.
pub(super) async fn ask(url: &Url, trust: &Trust) -> Result<Credentials, AskpassError> {
    let place = web::place(url);
    let failed = |source| AskpassError::Call {
        place: place.clone(),
        source,
    };
    let response = web::send(trust, RedirectPolicy::Ask, url, |client| {
        client.get(url.clone()).timeout(TIMEOUT)
    });
    let response = response.await.map_err(failed)?;
    if response.status() != StatusCode::OK {
        let status = response.status();
        return Err(AskpassError::Status { place, status });
    }
    let text = web::text(response).await.map_err(failed)?;
    credentials(&text).ok_or(AskpassError::Answer { place })
}

/// Parses `username=` and `password=`, each to the end of its line; other lines are ignored.
fn credentials(text: &str) -> Option<Credentials> {
    let value = |key: &str| {
        let mut lines = text.lines().rev();
        lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    };
    Some(Credentials {
        username: value("username")?.to_owned(),
        password: value("password")?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_an_answer_are_read() {
        for (text, expected) in [
            ("username=me\npassword=a=b c", Some(("me", "a=b c"))),
            ("junk\nusername=me\r\npassword=p\r\n\n", Some(("me", "p"))),
            ("username=\npassword=token", Some(("", "token"))),
            ("password=p", None),
            ("username=me", None),
            ("usernames=me\npassword=p", None),
            ("", None),
        ] {
            let read = credentials(text);
            let read = read
                .as_ref()
                .map(|read| (read.username.as_str(), read.password.as_str()));
            assert_eq!(read, expected, "{text}");
        }
    }
}
