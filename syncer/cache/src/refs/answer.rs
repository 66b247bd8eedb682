//! The content of an answer to `ls-refs`, shared by slots with the same content.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use hyper::header::HeaderValue;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::tag::name_of;

/// A valid answer of an origin.
#[derive(Debug)]
pub(crate) struct RefsBody {
    pub(crate) bytes: Bytes,
    /// The entity tag, with its quotes: a hash of the bytes, so all replicas have the same.
    pub(crate) etag: HeaderValue,
    total: Arc<AtomicUsize>,
}

impl RefsBody {
    /// `total` counts the bytes of all bodies in memory.
    pub(crate) fn new(bytes: Bytes, total: &Arc<AtomicUsize>) -> Self {
        total.fetch_add(bytes.len(), Ordering::Relaxed);
        Self {
            etag: text(&format!("\"{}\"", name_of(&bytes))),
            bytes,
            total: Arc::clone(total),
        }
    }
}

impl Drop for RefsBody {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

/// A body with the time at which the origin gave it last: the beginning of the request, so the
/// answer is never older than that.
#[derive(Clone, Debug)]
pub(crate) struct RefsAnswer {
    pub(crate) body: Arc<RefsBody>,
    pub(crate) as_of: Timestamp,
    /// The same time on the monotonic clock.
    pub(crate) at: Instant,
    /// The same time as [`args::cache::AS_OF`]: RFC 3339 in UTC with milliseconds. All followers get this
    /// value.
    pub(crate) as_of_header: HeaderValue,
}

impl RefsAnswer {
    pub(crate) fn new(body: Arc<RefsBody>, as_of: Timestamp, at: Instant) -> Self {
        let time = as_of.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        Self {
            body,
            as_of,
            at,
            as_of_header: text(&time),
        }
    }

    /// The age in whole seconds.
    pub(crate) fn age(&self) -> u64 {
        let age = Timestamp::now().as_millisecond() - self.as_of.as_millisecond();
        u64::try_from(age / 1000).unwrap_or_default()
    }
}

/// A text of the cache's own as a header.
fn text(text: &str) -> HeaderValue {
    // Our own texts are valid values.
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_have_equal_tags_and_bytes_are_counted() {
        let total = Arc::default();
        let make = |text: &'static str| RefsBody::new(Bytes::from_static(text.as_bytes()), &total);
        let (a, b, c) = (make("one"), make("one"), make("four"));
        assert_eq!(a.etag, b.etag);
        assert_ne!(a.etag, c.etag);
        assert_eq!(total.load(Ordering::Relaxed), 10);
        drop(b);
        assert_eq!(total.load(Ordering::Relaxed), 7);
    }

    #[test]
    fn the_time_has_milliseconds() {
        let total = Arc::default();
        let body = Arc::new(RefsBody::new(Bytes::new(), &total));
        let as_of = Timestamp::from_millisecond(1_700_000_000_042).unwrap();
        let answer = RefsAnswer::new(body, as_of, Instant::now());
        assert_eq!(answer.as_of_header, "2023-11-14T22:13:20.042Z");
    }
}
