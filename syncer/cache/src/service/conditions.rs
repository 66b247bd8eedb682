//! What the headers of a request ask for.

use std::time::Duration;

use args::cache::MAX_WAIT_SECONDS;
use hyper::HeaderMap;
use hyper::header::CACHE_CONTROL;
use hyper::header::HeaderName;
use hyper::header::IF_NONE_MATCH;

use crate::peers::purpose::PeerPurpose;

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// The longest entity tag of a follower in bytes.
const LONGEST_TAG: usize = 128;

/// The conditions of a request. They own their values: headers are parts of the connection's buffer,
/// which would stay in memory as long as a follower waits.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Conditions {
    /// The answer that the follower has: the one entity tag of `If-None-Match`.
    pub(crate) tag: Option<String>,
    /// `Prefer: wait=N` (RFC 7240), limited to the contract's maximum.
    pub(crate) wait: Duration,
    /// Whether the follower rejects a stored answer. git sends `Pragma: no-cache` always, and
    /// `Cache-Control` only where its user asked for it.
    pub(crate) is_forced: bool,
    /// The purpose of a request from another replica.
    pub(crate) purpose: Option<PeerPurpose>,
}

impl Conditions {
    /// The conditions in a request's headers. A malformed value is none.
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let mut control = headers.get_all(CACHE_CONTROL).iter();
        Self {
            tag: tag(headers),
            wait: wait(headers),
            is_forced: control.any(|value| value.as_bytes().eq_ignore_ascii_case(b"no-cache")),
            purpose: PeerPurpose::read(headers),
        }
    }
}

fn tag(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(IF_NONE_MATCH)?.to_str().ok()?.trim();
    // A proxy may have made it weak.
    let value = value.strip_prefix("W/").unwrap_or(value);
    (value.len() <= LONGEST_TAG).then(|| value.to_owned())
}

fn wait(headers: &HeaderMap) -> Duration {
    let values = headers.get_all(PREFER).iter();
    let preferences = values.filter_map(|value| value.to_str().ok());
    let mut preferences = preferences.flat_map(|value| value.split(','));
    let seconds: Option<u64> =
        preferences.find_map(|it| it.trim().strip_prefix("wait=")?.trim().parse().ok());
    Duration::from_secs(seconds.unwrap_or_default().min(MAX_WAIT_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: HeaderName, value: &str) -> Conditions {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        Conditions::read(&headers)
    }

    #[test]
    fn a_wait_is_limited_and_a_malformed_one_is_none() {
        for (value, seconds) in [
            ("wait=10", 10),
            ("respond-async, wait=20", 20),
            ("wait=3600", MAX_WAIT_SECONDS),
            ("wait=-1", 0),
            ("wait", 0),
            ("", 0),
        ] {
            let wait = read(PREFER, value).wait;
            assert_eq!(wait, Duration::from_secs(seconds), "{value}");
        }
    }

    #[test]
    fn a_weak_tag_is_the_tag_and_a_long_one_is_none() {
        let tag = |value: &str| read(IF_NONE_MATCH, value).tag;
        assert_eq!(tag("\"abc\"").as_deref(), Some("\"abc\""));
        assert_eq!(tag("W/\"abc\"").as_deref(), Some("\"abc\""));
        assert_eq!(tag(&"a".repeat(LONGEST_TAG + 1)), None);
    }

    #[test]
    fn only_no_cache_rejects_a_stored_answer() {
        for (value, is_forced) in [("no-cache", true), ("No-Cache", true), ("max-age=0", false)] {
            let conditions = read(CACHE_CONTROL, value);
            assert_eq!(conditions.is_forced, is_forced, "{value}");
        }
    }
}
