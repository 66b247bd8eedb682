//! What the head of an origin's answer means.

use std::time::Duration;
use std::time::SystemTime;

use hyper::HeaderMap;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::CONTENT_ENCODING;
use hyper::header::CONTENT_TYPE;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::header::RETRY_AFTER;
use hyper::header::WWW_AUTHENTICATE;
use jiff::fmt::rfc2822;

use crate::access::registry::Denial;
use crate::access::registry::Refusal;
use crate::origin::error::OriginError;

/// The longest challenge in bytes.
const LONGEST_CHALLENGE: usize = 1024;

/// The pause after a status that requests one without a usable time.
const DEFAULT_PAUSE: Duration = Duration::from_secs(30);

const RATE_LIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");

/// What the head of an answer means.
pub(crate) fn judge(response: &Response<Incoming>, kind: &str) -> Result<(), OriginError> {
    let status = response.status();
    let headers = response.headers();
    let wait = wait(headers);
    if status == StatusCode::OK {
        let is_git = content_type(headers) == Some(kind) && !headers.contains_key(CONTENT_ENCODING);
        return is_git.then_some(()).ok_or(OriginError::Unusable);
    }
    let is_limited = headers
        .get(RATE_LIMIT_REMAINING)
        .is_some_and(|remaining| remaining == "0");
    Err(match status {
        StatusCode::TOO_MANY_REQUESTS => {
            OriginError::Denied(Denial::Later(wait.unwrap_or(DEFAULT_PAUSE)))
        }
        // Hosts answer so to too many requests, too.
        StatusCode::FORBIDDEN if wait.is_some() || is_limited => {
            OriginError::Denied(Denial::Later(wait.unwrap_or(DEFAULT_PAUSE)))
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
            OriginError::Denied(Denial::Refused(Refusal {
                status,
                challenge: (status == StatusCode::UNAUTHORIZED)
                    .then(|| challenge(headers))
                    .flatten(),
            }))
        }
        status if status.is_server_error() => OriginError::Away(status.to_string()),
        status if status.is_redirection() => OriginError::Unsupported,
        _ => OriginError::Unusable,
    })
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    kind.split(';').next().map(str::trim)
}

/// The challenge that followers get: the first one of a scheme that the cache supports.
fn challenge(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut challenges = headers.get_all(WWW_AUTHENTICATE).iter();
    let is_supported = |value: &&HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        let scheme = text.split(' ').next().unwrap_or_default();
        let is_known = ["basic", "bearer"]
            .iter()
            .any(|it| scheme.eq_ignore_ascii_case(it));
        is_known && text.len() <= LONGEST_CHALLENGE
    };
    challenges.find(is_supported).cloned()
}

/// The header `Retry-After` (RFC 9110, 10.2.3): a number of seconds, or a date.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = SystemTime::from(rfc2822::parse(value).ok()?.timestamp());
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}
