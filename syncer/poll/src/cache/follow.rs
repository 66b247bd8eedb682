//! One request for the refs, which the cache holds until the ref changes.

use std::sync::Arc;
use std::time::Duration;

use args::Revision;
use args::cache::AS_OF;
use args::cache::STALE;
use hyper::header::ETAG;
use hyper::header::HeaderValue;
use url::Url;

use crate::cache::cas::CasPoller;
use crate::cache::conditions;
use crate::credentials::Credentials;
use crate::error::PollError;
use crate::http::HttpRefPoller;
use crate::network::Network;
use crate::response::FoundRef;

/// Follows one ref of a repository through the cache.
pub struct CacheRefPoller {
    poller: HttpRefPoller,
    /// The tag of the last answer.
    last: Option<HeaderValue>,
    cas: CasPoller,
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
    /// Describes a repository by its address in the cache at `cache`, without contacting it.
    pub fn new(cache: &Url, url: Url, rev: Revision, network: Arc<dyn Network>) -> Self {
        let cas = CasPoller::new(cache, Arc::clone(&network));
        Self {
            poller: HttpRefPoller::new(url, rev, true, network).preemptive(),
            last: None,
            cas,
        }
    }

    /// Asks for the ref. After the first answer the cache holds the request until the ref changes;
    /// `None` if it did not within `wait`, which is rounded to seconds, at most
    /// [`args::cache::MAX_WAIT_SECONDS`].
    pub async fn ask(
        &mut self,
        credentials: Credentials<'_>,
        wait: Duration,
    ) -> Result<Option<CacheAnswer>, PollError> {
        let headers = conditions(self.last.as_ref(), wait)?;
        let asked = self.poller.ask_cache(credentials, headers).await;
        let response = asked.inspect_err(|_| self.last = None)?;
        let headers = response.headers;
        self.cas.saw(&headers);
        let Some(found) = response.changed else {
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

    /// The CAs that the cache names.
    pub fn cas(&mut self) -> &mut CasPoller {
        &mut self.cas
    }
}
