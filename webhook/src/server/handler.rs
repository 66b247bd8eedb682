//! One admission call: its body, its answer, one log line, one count.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::header::CONTENT_TYPE;
use axum::http::header::RETRY_AFTER;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::sync::Semaphore;
use tokio::sync::SemaphorePermit;
use tokio::time::sleep;
use tokio::time::timeout;

use crate::metrics::Metrics;
use crate::metrics::Trouble;
use crate::server::judge::Entry;
use crate::server::judge::Failure;
use crate::server::judge::Judge;
use crate::server::judge::Verdict;

/// Maximum size of a body in bytes. The API server never sends more: it accepts objects of up to 3
/// MiB, and a review may hold two.
pub const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// Maximum number of calls in flight; further ones are shed (503). An answer takes microseconds, so
/// only bodies that arrive slowly can reach this limit.
pub const MAX_INFLIGHT: usize = 64;

/// Maximum timeout of a body; also the timeout if the caller sends none.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum wait for a namespace that the watch has not reported yet: the event arrives within
/// milliseconds, unless the watch is lost.
const NAMESPACE_TIMEOUT: Duration = Duration::from_secs(1);

/// Polling interval for such a namespace.
const NAMESPACE_PAUSE: Duration = Duration::from_millis(20);

/// Timeout for reading the rest of a body whose call is shed.
const REST_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum bytes of bodies in memory, over all calls; a call that needs more is shed (503). A
/// review has about 5 KB, so this holds two of maximum size or thousands of typical ones.
pub const MAX_INFLIGHT_BYTES: usize = 2 * BODY_LIMIT;

/// The state that all calls share.
pub struct Mutate {
    judge: Arc<dyn Judge>,
    metrics: Arc<Metrics>,
    calls: Semaphore,
    bytes: Semaphore,
}

impl Mutate {
    /// A handler with this judge and these limits: calls in flight, and bytes of their bodies.
    pub fn new(judge: Arc<dyn Judge>, metrics: Arc<Metrics>, calls: usize, bytes: usize) -> Self {
        Self {
            judge,
            metrics,
            calls: Semaphore::new(calls),
            bytes: Semaphore::new(bytes),
        }
    }

    /// Sheds a call (503 with `Retry-After`). The API server's client waits and retries through the
    /// Service, maybe at another replica, within the webhook's own timeout.
    async fn shed(&self, limit: Limit, mut body: Body, begun: Instant) -> Response {
        // Reads and drops the whole body: hyper closes a connection whose body is unread, and the
        // caller may then see a connection reset instead of the answer.
        let rest = async { while let Some(Ok(_)) = body.frame().await {} };
        let _ = timeout(REST_TIMEOUT, rest).await;
        self.metrics.shed(limit.name());
        self.metrics
            .count_trouble(Trouble::Overload, begun.elapsed());
        let mut response = (StatusCode::SERVICE_UNAVAILABLE, limit.sentence()).into_response();
        let retry = HeaderValue::from_static("1");
        response.headers_mut().insert(RETRY_AFTER, retry);
        response
    }
}

/// The limit that a call exceeds.
#[derive(Clone, Copy, Debug)]
enum Limit {
    Calls,
    Bytes,
}

impl Limit {
    fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Bytes => "bytes",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Calls => "too many requests at a time\n",
            Self::Bytes => "too many request bytes at a time\n",
        }
    }
}

/// The permits of a call and of the bytes of its body, held until the answer is made. It keeps the
/// gauges right also if the caller disconnects and the call is dropped.
struct Inflight<'a> {
    mutate: &'a Mutate,
    _call: SemaphorePermit<'a>,
    bytes: Option<SemaphorePermit<'a>>,
}

impl<'a> Inflight<'a> {
    fn enter(mutate: &'a Mutate) -> Option<Self> {
        let call = mutate.calls.try_acquire().ok()?;
        mutate.metrics.inflight.inc();
        Some(Self {
            mutate,
            _call: call,
            bytes: None,
        })
    }

    /// Acquires permits for bytes that have arrived, not for those that `Content-Length` announces:
    /// a caller that announces much and sends nothing must not block the others.
    fn take(&mut self, count: usize) -> Result<(), Unread> {
        if self.bytes() + count > BODY_LIMIT {
            return Err(Unread::TOO_LARGE);
        }
        let more = u32::try_from(count).map_err(|_| Unread::TOO_LARGE)?;
        let more = self.mutate.bytes.try_acquire_many(more);
        let more = more.map_err(|_| Unread::Shed)?;
        match &mut self.bytes {
            None => self.bytes = Some(more),
            Some(bytes) => bytes.merge(more),
        }
        self.mutate.metrics.inflight_bytes.inc_by(count as i64);
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.bytes.as_ref().map_or(0, SemaphorePermit::num_permits)
    }
}

impl Drop for Inflight<'_> {
    fn drop(&mut self) {
        let metrics = &self.mutate.metrics;
        metrics.inflight.dec();
        metrics.inflight_bytes.dec_by(self.bytes() as i64);
    }
}

/// The routes `POST /mutate` and `POST /mutate/auto`.
pub fn router(mutate: Mutate) -> Router {
    let route = |entry| {
        post(
            move |State(mutate): State<Arc<Mutate>>, uri: Uri, body: Body| async move {
                answer(&mutate, entry, &uri, body).await
            },
        )
    };
    Router::new()
        .route("/mutate", route(Entry::Requests))
        .route("/mutate/auto", route(Entry::Auto))
        .with_state(Arc::new(mutate))
}

async fn answer(mutate: &Mutate, entry: Entry, uri: &Uri, mut body: Body) -> Response {
    let begun = Instant::now();
    let Some(mut inflight) = Inflight::enter(mutate) else {
        return mutate.shed(Limit::Calls, body, begun).await;
    };
    let reading = read(&mut body, &mut inflight);
    let read = timeout(patience(uri), reading).await;
    let body = match read.unwrap_or(Err(Unread::SLOW)) {
        Ok(read) => read,
        Err(Unread::Shed) => {
            drop(inflight);
            return mutate.shed(Limit::Bytes, body, begun).await;
        }
        Err(Unread::Refused(status, trouble, text)) => {
            tracing::warn!(%status, reason = trouble.as_str(), "cannot read a request");
            mutate.metrics.count_trouble(trouble, begun.elapsed());
            return (status, text).into_response();
        }
    };
    let mut judged = judge(mutate, entry, &body);
    while let Ok(Err(Failure::UnknownNamespace { .. })) = judged
        && begun.elapsed() < NAMESPACE_TIMEOUT
    {
        sleep(NAMESPACE_PAUSE).await;
        judged = judge(mutate, entry, &body);
    }
    match judged {
        Ok(Ok(verdict)) => given(&mutate.metrics, verdict, begun),
        Ok(Err(failure)) => failed(&mutate.metrics, &failure, begun),
        Err(_) => {
            // The panic's own message is already on standard error; the caller must not see it.
            tracing::error!("the request handler panicked");
            mutate.metrics.panics.inc();
            mutate
                .metrics
                .count_trouble(Trouble::Panic, begun.elapsed());
            let text = "gitvolume: an internal error, see the webhook's log\n";
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}

fn judge(mutate: &Mutate, entry: Entry, body: &[u8]) -> thread::Result<Result<Verdict, Failure>> {
    // Inside, no lock is held and no state is shared, so a panic leaves nothing inconsistent.
    catch_unwind(AssertUnwindSafe(|| mutate.judge.judge(entry, body)))
}

fn given(metrics: &Metrics, verdict: Verdict, begun: Instant) -> Response {
    let Verdict {
        body,
        namespace,
        pod,
        decision,
        reason,
        patch_bytes,
        dry_run,
    } = verdict;
    let took = begun.elapsed();
    metrics.count(decision, reason, took);
    if patch_bytes > 0 {
        metrics.patched(patch_bytes);
    }
    tracing::info!(
        namespace,
        pod,
        decision,
        reason,
        patch_bytes,
        duration_us = took.as_micros() as u64,
        dry_run,
        "answered"
    );
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

fn failed(metrics: &Metrics, failure: &Failure, begun: Instant) -> Response {
    let took = begun.elapsed();
    match failure {
        Failure::Unreadable { cause } => {
            metrics.count_trouble(Trouble::Unreadable, took);
            tracing::warn!(error = cause, "the body is not an AdmissionReview");
            (StatusCode::BAD_REQUEST, format!("{cause}\n")).into_response()
        }
        Failure::UnknownNamespace { namespace, pod } => {
            let cause = format!("the watch has not reported namespace {namespace} yet; try again");
            internal(metrics, namespace, pod, &cause, took)
        }
        Failure::Internal {
            namespace,
            pod,
            cause,
        } => internal(metrics, namespace, pod, cause, took),
    }
}

fn internal(
    metrics: &Metrics,
    namespace: &str,
    pod: &str,
    cause: &str,
    took: Duration,
) -> Response {
    metrics.count_trouble(Trouble::Internal, took);
    tracing::error!(namespace, pod, error = cause, "cannot create a response");
    // No answer but a failed call: the failurePolicy decides, as in an outage.
    let text = format!("gitvolume: {cause}\n");
    (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
}

/// The reason why a body was not read.
enum Unread {
    /// The bodies of other calls use all of the memory limit.
    Shed,
    /// An error of the caller: the HTTP status, the reason for metrics, and the message.
    Refused(StatusCode, Trouble, &'static str),
}

impl Unread {
    const TOO_LARGE: Self = Self::Refused(
        StatusCode::PAYLOAD_TOO_LARGE,
        Trouble::TooLarge,
        "the body is larger than 8 MiB\n",
    );
    const INCOMPLETE: Self = Self::Refused(
        StatusCode::BAD_REQUEST,
        Trouble::Incomplete,
        "the body is not complete\n",
    );
    const SLOW: Self = Self::Refused(
        StatusCode::REQUEST_TIMEOUT,
        Trouble::Slow,
        "the body did not arrive in time\n",
    );
}

/// Reads a body of at most [`BODY_LIMIT`].
async fn read(body: &mut Body, inflight: &mut Inflight<'_>) -> Result<Bytes, Unread> {
    // Checks `Content-Length` before reading a byte.
    if body.size_hint().lower() > BODY_LIMIT as u64 {
        return Err(Unread::TOO_LARGE);
    }
    // Most bodies arrive in one part, which is not copied.
    let mut first = Bytes::new();
    let mut parts = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unread::INCOMPLETE)?;
        // Trailers are ignored.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        inflight.take(data.len())?;
        if first.is_empty() && parts.is_empty() {
            first = data;
        } else {
            parts.extend_from_slice(&std::mem::take(&mut first));
            parts.extend_from_slice(&data);
        }
    }
    if parts.is_empty() {
        return Ok(first);
    }
    Ok(parts.into())
}

/// The timeout of a body: the timeout of the whole call, which the API server sends in the query
/// (`?timeout=5s`), and at most [`BODY_TIMEOUT`].
fn patience(uri: &Uri) -> Duration {
    let query = uri.query().unwrap_or_default();
    let sent = query.split('&').find_map(|pair| {
        let seconds = pair.strip_prefix("timeout=")?.strip_suffix('s')?;
        // Whole seconds, as in the webhook configuration; 0 would leave no time at all.
        seconds.parse().ok().filter(|seconds| *seconds > 0)
    });
    sent.map_or(BODY_TIMEOUT, Duration::from_secs)
        .min(BODY_TIMEOUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_may_take_as_long_as_the_caller_waits_and_no_longer_than_ten_seconds() {
        for (uri, expected) in [
            ("/mutate?timeout=5s", 5),
            ("/mutate?a=b&timeout=1s", 1),
            ("/mutate?timeout=30s", 10),
            ("/mutate?timeout=0s", 10),
            ("/mutate?timeout=-1s", 10),
            ("/mutate?timeout=1m", 10),
            ("/mutate?timeout", 10),
            ("/mutate", 10),
        ] {
            let found = patience(&uri.parse().unwrap());
            assert_eq!(found, Duration::from_secs(expected), "{uri}");
        }
    }
}
