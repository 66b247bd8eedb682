//! One request without refs, which the cache holds until the next push to the repository.

use std::sync::Arc;
use std::time::Duration;

use args::wake;
use args::wake::Watch;
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::Method;
use hyper::Request;
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use hyper::header::ETAG;
use hyper::header::HeaderValue;
use url::Url;

use crate::cache::cas::CasPoller;
use crate::cache::conditions;
use crate::connect;
use crate::connect::Server;
use crate::error::PollError;
use crate::http::judge;
use crate::http::request;
use crate::network::Network;

/// Waits at the cache for pushes to one repository that the cache does not poll itself.
pub struct PushPoller {
    url: Url,
    message: Bytes,
    network: Arc<dyn Network>,
    /// The tag of the last answer.
    last: Option<HeaderValue>,
    cas: CasPoller,
}

impl PushPoller {
    /// Describes a repository, by its address as [`wake::address`] gives it, without contacting the
    /// cache.
    pub fn new(cache: &Url, repository: Url, network: Arc<dyn Network>) -> Self {
        let message = serde_json::json!(Watch { repository }).to_string();
        Self {
            url: args::cache::url_of(cache, wake::WATCH_PATH),
            message: Bytes::from(message),
            cas: CasPoller::new(cache, Arc::clone(&network)),
            network,
            last: None,
        }
    }

    /// Waits for a push; false if there was none within `wait`, which is rounded to seconds, at most
    /// [`args::cache::MAX_WAIT_SECONDS`]. The first call returns true at once, as one does after which
    /// the cache cannot say whether there was a push.
    pub async fn pushed(&mut self, wait: Duration) -> Result<bool, PollError> {
        let last = self.last.take();
        let server = Server::find(&*self.network, &self.url)?;
        let mut request = self.request()?;
        let conditions = conditions(last.as_ref(), wait)?;
        request.headers_mut().extend(conditions);
        let (response, connection) = connect::send(&*self.network, &server, &request).await?;
        let is_same = response.status() == StatusCode::NOT_MODIFIED;
        if !is_same {
            judge(&response)?;
        }
        self.cas.saw(response.headers());
        let tag = response.headers().get(ETAG).cloned();
        // Without it no request would wait.
        let tag = tag.ok_or(PollError::Unfit("the answer of the cache has no ETag"))?;
        response.into_body().collect().await?;
        connect::keep(&server, connection);
        self.last = Some(tag);
        Ok(!is_same)
    }

    /// The CAs that the cache names.
    pub fn cas(&mut self) -> &mut CasPoller {
        &mut self.cas
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, PollError> {
        let path = self.url.path().to_owned();
        let mut request = request(Method::POST, &self.url, path, None)?;
        let kind = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, kind);
        *request.body_mut() = Full::from(self.message.clone());
        Ok(request)
    }
}
