//! A hook that is a call over HTTP(S).

use std::time::Duration;

use reqwest::Method;
use reqwest::Url;
use reqwest::header::CONTENT_LENGTH;
use reqwest::header::HeaderValue;

use crate::config;
use crate::config::RepoConfig;
use crate::git::Hash;
use crate::redact::redact;
use crate::web;
use crate::web::Manner;
use crate::web::Trust;
use crate::web::WebError;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum WebhookError {
    #[error(transparent)]
    Web(#[from] WebError),
    #[error("cannot call {host}")]
    Call {
        host: String,
        source: reqwest::Error,
    },
    #[error("received response code {received} expected {expected}")]
    Status { received: u16, expected: u16 },
}

/// An address that is called.
pub(super) struct Webhook {
    name: &'static str,
    url: Url,
    method: Method,
    /// The status that means success; none: whatever the answer is.
    expected: Option<u16>,
    timeout: Duration,
    trust: Trust,
    /// None where an address has bytes that no header may have.
    repo: Option<HeaderValue>,
}

impl Webhook {
    pub(super) fn new(name: &'static str, hook: &config::Webhook, config: &RepoConfig) -> Self {
        Self {
            name,
            url: hook.url.clone(),
            method: hook.method.clone(),
            expected: hook.success_status,
            timeout: hook.timeout,
            trust: Trust::of_calls(config),
            repo: HeaderValue::from_bytes(redact(&config.repo.url).as_bytes()).ok(),
        }
    }

    /// Makes the call; its body is empty, and what there is to say is in its headers.
    pub(super) async fn call(&self, commit: &Hash, old: Option<&Hash>) -> Result<(), WebhookError> {
        tracing::info!(
            logger = self.name,
            hash = %commit,
            url = %web::host(&self.url),
            method = %self.method,
            timeout = ?self.timeout,
            "sending webhook"
        );
        let client = web::client(&self.trust, Manner::Call, &self.url)?;
        let has_body = [Method::POST, Method::PUT, Method::PATCH].contains(&self.method);
        let mut request = client
            .request(self.method.clone(), self.url.clone())
            .timeout(self.timeout)
            .header("Gitsync-Hash", commit.as_str());
        if has_body {
            // Some servers insist on hearing that it is empty.
            request = request.header(CONTENT_LENGTH, 0);
        }
        if let Some(old) = old {
            request = request.header("Gitsync-Old-Hash", old.as_str());
        }
        if let Some(repo) = &self.repo {
            request = request.header("Gitsync-Repo", repo);
        }
        let received = request.send().await.map_err(|source| WebhookError::Call {
            host: web::host(&self.url),
            // The path may be all that protects the address.
            source: source.without_url(),
        })?;
        let received = received.status().as_u16();
        match self.expected {
            Some(expected) if received != expected => {
                Err(WebhookError::Status { received, expected })
            }
            _ => Ok(()),
        }
    }
}
