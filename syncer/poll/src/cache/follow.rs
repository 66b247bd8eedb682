//! Polls through the pull-through cache: one request that the cache holds until the ref changes
//! (`args::cache`).

use std::sync::Arc;
use std::time::Duration;

use args::Revision;
use args::cache::AS_OF;
use args::cache::MAX_WAIT_SECONDS;
use args::cache::STALE;
use hyper::HeaderMap;
use hyper::header::ETAG;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::header::IF_NONE_MATCH;
use url::Url;

use crate::credentials::Credentials;
use crate::error::PollError;
use crate::http::HttpRefPoller;
use crate::network::Network;
use crate::response::FoundRef;

/// RFC 7240.
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// Follows one ref of a repository through the cache.
pub struct CacheRefPoller {
    poller: HttpRefPoller,
    /// The tag of the last answer.
    last: Option<HeaderValue>,
}

/// An answer of the cache.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CacheAnswer {
    /// The ref; `None` if the repository has none of the name, or no tag in the range.
    pub found: Option<FoundRef>,
    /// When the git host gave the answer, as text of RFC 3339.
    pub as_of: Option<String>,
    /// The age of an answer that the cache gives while the git host is unreachable.
    pub stale: Option<Duration>,
}

impl CacheRefPoller {
    /// Describes a repository by its address in the cache, without contacting it.
    pub fn new(url: Url, rev: Revision, network: Arc<dyn Network>) -> Self {
        Self {
            poller: HttpRefPoller::new(url, rev, true, network).preemptive(),
            last: None,
        }
    }

    /// Asks for the ref. After the first answer the cache holds the request until the ref changes;
    /// `None` if it did not within `wait`, which is rounded to seconds, at most
    /// [`MAX_WAIT_SECONDS`].
    pub async fn ask(
        &mut self,
        credentials: Credentials<'_>,
        wait: Duration,
    ) -> Result<Option<CacheAnswer>, PollError> {
        let mut headers = HeaderMap::new();
        if let Some(last) = &self.last {
            headers.insert(IF_NONE_MATCH, last.clone());
            let wait = format!("wait={}", wait.as_secs().clamp(1, MAX_WAIT_SECONDS));
            let wait = HeaderValue::try_from(wait).map_err(hyper::http::Error::from)?;
            headers.insert(PREFER, wait);
        }
        let asked = self.poller.ask_cache(credentials, headers).await;
        let Some((found, headers)) = asked.inspect_err(|_| self.last = None)? else {
            return Ok(None);
        };
        let tag = headers.get(ETAG).cloned();
        // Without it no request would wait.
        self.last = Some(tag.ok_or(PollError::Unfit("the answer of the cache has no ETag"))?);
        let text = |name: &str| headers.get(name)?.to_str().ok();
        Ok(Some(CacheAnswer {
            found,
            as_of: text(AS_OF).map(str::to_owned),
            stale: text(STALE)
                .and_then(|seconds| seconds.parse().ok())
                .map(Duration::from_secs),
        }))
    }
}
