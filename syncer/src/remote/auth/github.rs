//! A GitHub App: its private key signs a JWT, for which GitHub gives a token that lasts an hour.
//!
//! <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app>

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
use crate::remote::web;
use crate::remote::web::RedirectPolicy;
use crate::remote::web::Trust;
use crate::remote::web::error::WebError;

/// The user name for a token. GitHub ignores it, but git needs one.
pub(super) const USERNAME: &str = "-";

/// A token that expires within this time is renewed.
const MARGIN: Duration = Duration::from_secs(30);

/// The lifetime of a JWT in seconds: GitHub's limit.
const LIFETIME: u64 = 600;

/// The number of seconds by which a JWT is backdated, as GitHub recommends: GitHub refuses a JWT
/// from the future, and clocks differ.
const DRIFT: u64 = 60;

/// The timeout of a request to GitHub.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An error of the token request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GithubError {
    #[error(
        "the GitHub App's private key cannot be read: expected an RSA key in PEM (PKCS#1 or PKCS#8)"
    )]
    Key,
    #[error("cannot sign with the GitHub App's private key")]
    Sign,
    #[error("cannot ask {place} for the GitHub App's token")]
    Call { place: String, source: WebError },
    #[error("{place} (GitHub API) answers {status}: {message}")]
    Status {
        place: String,
        status: StatusCode,
        message: String,
    },
    #[error("{place} (GitHub API) answers without a token or its expiry time")]
    Answer { place: String },
}

/// The identity of an app and its installation.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct App {
    /// The client ID, or the application's number.
    pub(super) issuer: String,
    pub(super) installation: u64,
    /// Its private key, PEM.
    pub(super) key: String,
    /// The address of GitHub's API.
    pub(super) base_url: Url,
}

/// The app's token, kept until shortly before it expires.
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
    /// Whether a token of this app must be requested.
    pub(super) fn are_due(&self, app: &App) -> bool {
        let is_same = |(known, _): &(App, Token)| known == app;
        !self.last.as_ref().is_some_and(is_same) || self.end_soon()
    }

    /// Whether there is a token that must be renewed.
    pub(super) fn end_soon(&self) -> bool {
        let soon = SystemTime::now() + MARGIN;
        self.last
            .as_ref()
            .is_some_and(|(_, token)| token.ends < soon)
    }

    /// Requests a new token from GitHub.
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

    /// The current token.
    pub(super) fn token(&self) -> &str {
        self.last
            .as_ref()
            .map_or("", |(_, token)| token.text.as_str())
    }
}

/// The used fields of GitHub's response.
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
    let failed = |source| GithubError::Call {
        place: place.clone(),
        source,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let jwt = jwt(app, now.unwrap_or_default().as_secs())?;
    let mut hidden = HiddenSecrets::default();
    hidden.add(&jwt);
    let timeout = TIMEOUT.min(deadline.saturating_duration_since(Instant::now()));
    let response = web::send(trust, RedirectPolicy::Call, &url, |client| {
        client
            .post(url.clone())
            .bearer_auth(jwt)
            .header(ACCEPT, "application/vnd.github+json")
            .timeout(timeout)
    });
    let response = response.await.map_err(failed)?;
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
    // An http(s) address always has path segments.
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

/// Creates the signed JWT of the app (RFC 7519, RS256).
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
    fn the_address_of_the_token_is_below_the_base_url() {
        for base in ["https://ghe.example/api/v3", "https://ghe.example/api/v3/"] {
            let url = token_url(&base.parse().unwrap(), 7);
            assert_eq!(
                url.as_str(),
                "https://ghe.example/api/v3/app/installations/7/access_tokens"
            );
        }
    }

    #[test]
    fn an_invalid_key_is_reported_without_showing_it() {
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
