//! Waits at the pull-through cache ([`args::cache`]): for a change of a ref, or for a push alone.

pub(crate) mod cas;
pub(crate) mod follow;
pub(crate) mod pushes;

use std::time::Duration;

use args::cache::MAX_WAIT_SECONDS;
use hyper::HeaderMap;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::header::IF_NONE_MATCH;

use crate::error::PollError;

/// RFC 7240.
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// The headers of a request that the cache holds until its answer differs from the last one, as long as
/// `wait`, which is rounded to seconds, at most [`MAX_WAIT_SECONDS`]. Without a last answer it
/// answers at once.
fn conditions(last: Option<&HeaderValue>, wait: Duration) -> Result<HeaderMap, PollError> {
    let mut headers = HeaderMap::new();
    if let Some(last) = last {
        headers.insert(IF_NONE_MATCH, last.clone());
        let wait = format!("wait={}", wait.as_secs().clamp(1, MAX_WAIT_SECONDS));
        let wait = HeaderValue::try_from(wait).map_err(hyper::http::Error::from)?;
        headers.insert(PREFER, wait);
    }
    Ok(headers)
}
