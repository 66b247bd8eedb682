//! A hook that sends an HTTP(S) request.

use std::time::Duration;

use reqwest::Method;
use reqwest::Url;
use reqwest::header::CONTENT_LENGTH;
use reqwest::header::HeaderValue;

use crate::config;
use crate::config::RepoConfig;
use crate::git::Hash;
use crate::redact::redact;
use crate::remote::web;
use crate::remote::web::RedirectPolicy;
use crate::remote::web::Trust;
use crate::remote::web::error::WebError;

/// An error of a request.
#[derive(Debug, thiserror::Error)]
pub(super) enum WebhookError {
    #[error("cannot call {host}")]
    Call { host: String, source: WebError },
    #[error("received response code {received} expected {expected}")]
    Status { received: u16, expected: u16 },
}

/// An address that is requested.
pub(super) struct Webhook {
    name: &'static str,
    url: Url,
    method: Method,
    /// The status that means success; `None` accepts any.
    expected: Option<u16>,
    timeout: Duration,
    trust: Trust,
    /// `None` if the address contains bytes that are invalid in a header.
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

    /// Sends the request; its body is empty, and its headers carry the values.
    pub(super) async fn call(&self, commit: &Hash, old: Option<&Hash>) -> Result<(), WebhookError> {
        tracing::info!(
            logger = self.name,
            hash = %commit,
            url = %web::host(&self.url),
            method = %self.method,
            timeout = ?self.timeout,
            "sending webhook"
        );
        let has_body = [Method::POST, Method::PUT, Method::PATCH].contains(&self.method);
        let sent = web::send(&self.trust, RedirectPolicy::Call, &self.url, |client| {
            let mut request = client
                .request(self.method.clone(), self.url.clone())
                .timeout(self.timeout)
                .header("Gitsync-Hash", commit.as_str());
            if has_body {
                // Some servers require a length even for an empty body.
                request = request.header(CONTENT_LENGTH, 0);
            }
            if let Some(old) = old {
                request = request.header("Gitsync-Old-Hash", old.as_str());
            }
            if let Some(repo) = &self.repo {
                request = request.header("Gitsync-Repo", repo);
            }
            request
        });
        let received = sent.await.map_err(|source| WebhookError::Call {
            host: web::host(&self.url),
            source,
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
