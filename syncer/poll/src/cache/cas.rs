//! The CAs that sign the certificates of the cache, as the cache names them.

use std::sync::Arc;

use args::cache::CA;
use args::cache::CA_PATH;
use http_body_util::BodyExt;
use http_body_util::Limited;
use hyper::HeaderMap;
use hyper::header::HeaderValue;
use url::Url;

use crate::connect;
use crate::connect::Server;
use crate::error::PollError;
use crate::http::get;
use crate::http::judge;
use crate::network::Network;

/// The longest text of CAs in bytes.
const LONGEST: usize = 64 << 10;

/// Reads the CAs that the cache names in its answers.
pub struct CasPoller {
    url: Url,
    network: Arc<dyn Network>,
    /// The name of the CAs in the last answer.
    named: Option<HeaderValue>,
    /// The name of the CAs that were requested last.
    requested: Option<HeaderValue>,
}

impl CasPoller {
    pub(crate) fn new(cache: &Url, network: Arc<dyn Network>) -> Self {
        Self {
            url: args::cache::url_of(cache, CA_PATH),
            network,
            named: None,
            requested: None,
        }
    }

    /// Records what an answer names.
    pub(crate) fn saw(&mut self, headers: &HeaderMap) {
        self.named = headers.get(CA).cloned();
    }

    /// The CAs, PEM, if the last answer names others than those of the last call. After an error they
    /// are requested again when they change again.
    pub async fn changed(&mut self) -> Result<Option<String>, PollError> {
        if self.named.is_none() || self.named == self.requested {
            return Ok(None);
        }
        let text = self.text().await;
        self.requested.clone_from(&self.named);
        text.map(Some)
    }

    async fn text(&self) -> Result<String, PollError> {
        let server = Server::find(&*self.network, &self.url)?;
        let request = get(&self.url, None)?;
        let (response, connection) = connect::send(&*self.network, &server, &request).await?;
        judge(&response)?;
        let body = Limited::new(response.into_body(), LONGEST).collect().await;
        let body = body.map_err(|_| PollError::Unfit("the CAs are incomplete or too long"))?;
        connect::keep(&server, connection);
        let text = String::from_utf8(body.to_bytes().to_vec());
        text.map_err(|_| PollError::Unfit("the CAs are not text"))
    }
}
