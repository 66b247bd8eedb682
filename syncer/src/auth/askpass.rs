//! `--askpass-url`: an address that gives the user name and the password at each sync.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::Url;

use crate::config::Credentials;
use crate::web;
use crate::web::Manner;
use crate::web::Trust;
use crate::web::WebError;

/// How long the address may take, as in git-sync.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Why there are no credentials from the address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskpassError {
    #[error("cannot ask {place} for the user name and password")]
    Web { place: String, source: WebError },
    #[error("cannot ask {place} for the user name and password")]
    Call {
        place: String,
        source: reqwest::Error,
    },
    #[error("{place}, asked for the user name and password, answers {status}: expected 200")]
    Status { place: String, status: StatusCode },
    #[error(
        "{place}, asked for the user name and password, does not give them: expected the lines \
         username=… and password=…"
    )]
    Answer { place: String },
}

/// Asks for the credentials of the repository.
pub(super) async fn ask(url: &Url, trust: &Trust) -> Result<Credentials, AskpassError> {
    let place = web::place(url);
    let failed = |source: reqwest::Error| AskpassError::Call {
        place: place.clone(),
        source: source.without_url(),
    };
    let client = web::client(trust, Manner::Ask, url).map_err(|source| AskpassError::Web {
        place: place.clone(),
        source,
    })?;
    let response = client.get(url.clone()).timeout(TIMEOUT).send().await;
    let response = response.map_err(failed)?;
    if response.status() != StatusCode::OK {
        let status = response.status();
        return Err(AskpassError::Status { place, status });
    }
    let text = web::text(response).await.map_err(failed)?;
    credentials(&text).ok_or(AskpassError::Answer { place })
}

/// Reads `username=` and `password=`, each to the end of its line; other lines mean nothing.
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
