//! A GitHub App: its private key signs a JWT, for which GitHub gives a token that lasts an hour.
//!
//! <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app>

use std::fmt;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::Url;
use reqwest::header::ACCEPT;
use ring::rand::SystemRandom;
use ring::signature::RSA_PKCS1_SHA256;
use ring::signature::RsaKeyPair;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use tokio::time::Instant;

use crate::redact::HiddenSecrets;
use crate::redact::redact;
use crate::web;
use crate::web::Manner;
use crate::web::Trust;
use crate::web::WebError;

/// The user that goes with a token; GitHub looks at the token alone, git wants some name.
pub(super) const USERNAME: &str = "-";

/// A token that ends within this time is renewed.
const MARGIN: Duration = Duration::from_secs(30);

/// How long a JWT may last: GitHub's limit.
const LIFETIME: u64 = 600;

/// By how much a JWT is dated back, as GitHub advises: one from the future is refused, and clocks
/// differ.
const DRIFT: u64 = 60;

/// The longest time for GitHub's answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GithubError {
    #[error(
        "the GitHub App's private key cannot be read: expected an RSA key in PEM (PKCS#1 or PKCS#8)"
    )]
    Key,
    #[error("cannot sign with the GitHub App's private key")]
    Sign,
    #[error("cannot ask {place} for the GitHub App's token")]
    Web { place: String, source: WebError },
    #[error("cannot ask {place} for the GitHub App's token")]
    Call {
        place: String,
        source: reqwest::Error,
    },
    #[error("{place}, asked for the GitHub App's token, answers {status}: {message}")]
    Status {
        place: String,
        status: StatusCode,
        message: String,
    },
    #[error(
        "{place}, asked for the GitHub App's token, answers something else than a token and its end"
    )]
    Answer { place: String },
}

/// What identifies an app and its installation.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct App {
    /// Its client ID, or the application's number.
    pub(super) issuer: String,
    pub(super) installation: u64,
    /// Its private key, PEM.
    pub(super) key: String,
    /// Where GitHub's API is.
    pub(super) base_url: Url,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "App({}, {})", self.issuer, self.installation)
    }
}

/// The app's token, kept until shortly before its end.
#[derive(Default)]
pub(super) struct Tokens {
    last: Option<(App, Token)>,
}

struct Token {
    text: String,
    ends: SystemTime,
    _hidden: HiddenSecrets,
}

impl Token {
    fn new(text: String, ends: SystemTime) -> Self {
        let mut hidden = HiddenSecrets::default();
        hidden.add(&text);
        Self {
            text,
            ends,
            _hidden: hidden,
        }
    }
}

impl Tokens {
    /// Tells whether GitHub must be asked for this app's token.
    pub(super) fn are_due(&self, app: &App) -> bool {
        let is_same = |(known, _): &(App, Token)| known == app;
        !self.last.as_ref().is_some_and(is_same) || self.end_soon()
    }

    /// Tells whether there is a token that must be renewed.
    pub(super) fn end_soon(&self) -> bool {
        let soon = SystemTime::now() + MARGIN;
        self.last
            .as_ref()
            .is_some_and(|(_, token)| token.ends < soon)
    }

    /// Asks GitHub for a new token.
    pub(super) async fn renew(
        &mut self,
        app: &App,
        trust: &Trust,
        deadline: Instant,
    ) -> Result<(), GithubError> {
        let token = ask(app, trust, deadline).await?;
        self.last = Some((app.clone(), token));
        Ok(())
    }

    /// The present token.
    pub(super) fn token(&self) -> &str {
        self.last
            .as_ref()
            .map_or("", |(_, token)| token.text.as_str())
    }
}

/// GitHub's answer; it has more in it.
#[derive(Deserialize)]
struct Answer {
    token: String,
    /// RFC 3339.
    expires_at: String,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

async fn ask(app: &App, trust: &Trust, deadline: Instant) -> Result<Token, GithubError> {
    let url = token_url(&app.base_url, app.installation);
    let place = web::place(&url);
    let failed = |source: reqwest::Error| GithubError::Call {
        place: place.clone(),
        source: source.without_url(),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let jwt = jwt(app, now.unwrap_or_default().as_secs())?;
    let mut hidden = HiddenSecrets::default();
    hidden.add(&jwt);
    let client = web::client(trust, Manner::Call, &url).map_err(|source| GithubError::Web {
        place: place.clone(),
        source,
    })?;
    let response = client
        .post(url)
        .bearer_auth(jwt)
        .header(ACCEPT, "application/vnd.github+json")
        .timeout(TIMEOUT.min(deadline.saturating_duration_since(Instant::now())))
        .send()
        .await
        .map_err(failed)?;
    let status = response.status();
    let text = web::text(response).await.map_err(failed)?;
    if status != StatusCode::CREATED {
        let refusal: Option<Refusal> = serde_json::from_str(&text).ok();
        let message = refusal.map_or_else(|| "expected 201".to_owned(), |refusal| refusal.message);
        return Err(GithubError::Status {
            place,
            status,
            message: redact(&message),
        });
    }
    token(&text).ok_or(GithubError::Answer { place })
}

fn token(text: &str) -> Option<Token> {
    let answer: Answer = serde_json::from_str(text).ok()?;
    let ends: Timestamp = answer.expires_at.parse().ok()?;
    Some(Token::new(answer.token, ends.into()))
}

fn token_url(base: &Url, installation: u64) -> Url {
    let mut url = base.clone();
    // An http(s) address always has segments.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend([
            "app",
            "installations",
            &installation.to_string(),
            "access_tokens",
        ]);
    }
    url
}

/// Signs that we are the app (RFC 7519, RS256).
fn jwt(app: &App, now: u64) -> Result<String, GithubError> {
    let key = PrivateKeyDer::from_pem_slice(app.key.as_bytes()).map_err(|_| GithubError::Key)?;
    let key = match &key {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        _ => return Err(GithubError::Key),
    };
    let key = key.map_err(|_| GithubError::Key)?;
    let issued = now.saturating_sub(DRIFT);
    let header = serde_json::json!({ "alg": "RS256", "typ": "JWT" });
    let claims = serde_json::json!({
        "iss": app.issuer,
        "iat": issued,
        "exp": issued + LIFETIME,
    });
    let encoded = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", encoded(header), encoded(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .map_err(|_| GithubError::Sign)?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(key: &str) -> App {
        App {
            issuer: "Iv1.0".to_owned(),
            installation: 7,
            key: key.to_owned(),
            base_url: "https://api.github.com/".parse().unwrap(),
        }
    }

    #[test]
    fn the_address_of_the_token_stands_below_the_base() {
        for base in ["https://ghe.example/api/v3", "https://ghe.example/api/v3/"] {
            let url = token_url(&base.parse().unwrap(), 7);
            assert_eq!(
                url.as_str(),
                "https://ghe.example/api/v3/app/installations/7/access_tokens"
            );
        }
    }

    #[test]
    fn what_is_no_key_is_told_without_showing_it() {
        for key in [
            "",
            "secret",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            let error = jwt(&app(key), 1_700_000_000).unwrap_err();
            assert!(
                error.to_string().contains("expected an RSA key in PEM"),
                "{error}"
            );
        }
        assert!(!format!("{:?}", app("secret")).contains("secret"));
    }

    #[test]
    fn a_token_is_renewed_before_it_ends_and_for_another_app() {
        let mut tokens = Tokens::default();
        assert!(tokens.are_due(&app("a")));
        for (seconds, is_due) in [(3600, false), (29, true)] {
            let ends = SystemTime::now() + Duration::from_secs(seconds);
            let token = Token::new("t".to_owned(), ends);
            tokens.last = Some((app("a"), token));
            assert_eq!(tokens.are_due(&app("a")), is_due);
            assert!(tokens.are_due(&app("b")));
        }
    }
}
