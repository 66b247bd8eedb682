//! One call of the API server: its body, its answer, one log line, one count.

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

use crate::judge::Entry;
use crate::judge::Failure;
use crate::judge::Judge;
use crate::judge::Verdict;
use crate::metrics::Metrics;
use crate::metrics::Trouble;

/// More than the API server ever sends: it takes objects of up to 3 MiB, and a review may hold two.
pub const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// Calls answered at a time; more are told to come back. An answer takes microseconds, so this is
/// reached only when bodies arrive slowly.
pub const MAX_INFLIGHT: usize = 64;

/// How long a body may take to arrive where the caller does not say how long it waits.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a namespace is waited for that the watch has not told of: it is there within milliseconds,
/// unless the watch is lost.
const NAMESPACE_TIMEOUT: Duration = Duration::from_secs(1);

/// The time between two looks for such a namespace.
const NAMESPACE_PAUSE: Duration = Duration::from_millis(20);

/// How long the rest of a body may take to arrive whose call is not answered.
const REST_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes of bodies held at a time, over all calls; a call that would need more is told to come back.
/// A review is about 5 KB, so this is two of the largest or thousands of the usual ones.
pub const MAX_INFLIGHT_BYTES: usize = 2 * BODY_LIMIT;

/// What every call shares.
pub struct Mutate {
    judge: Arc<dyn Judge>,
    metrics: Arc<Metrics>,
    calls: Semaphore,
    bytes: Semaphore,
}

impl Mutate {
    /// Answers by this judge, at most so many calls, and bytes of their bodies, at a time.
    pub fn new(judge: Arc<dyn Judge>, metrics: Arc<Metrics>, calls: usize, bytes: usize) -> Self {
        Self {
            judge,
            metrics,
            calls: Semaphore::new(calls),
            bytes: Semaphore::new(bytes),
        }
    }

    /// Says that there is too much to do. The API server's client waits and asks again, through
    /// the Service and so maybe another replica, within the webhook's own timeout.
    async fn shed(&self, limit: Limit, mut body: Body, begun: Instant) -> Response {
        // Read to its end, in parts that are dropped at once: hyper closes a connection in whose
        // body it is left, and then the caller may find a reset connection in place of the answer.
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

/// What there is too much of.
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
            Self::Calls => "too many calls at a time\n",
            Self::Bytes => "too many bytes of calls at a time\n",
        }
    }
}

/// A call and the bytes of its body, which have their places until the answer is made. Keeps the
/// gauges right also when the caller goes away and the call is dropped.
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

    /// Takes places for bytes that have come: not for those that are announced, so that whoever
    /// announces much and sends nothing keeps nobody else out.
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
            tracing::warn!(%status, reason = trouble.as_str(), "a call could not be read");
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
            // The panic's own text is on standard error already; it is not for the caller.
            tracing::error!("the answer panicked");
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
    // No lock is held and no state is shared inside, so nothing can be left half done.
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
            tracing::warn!(error = cause, "the body is no review");
            (StatusCode::BAD_REQUEST, format!("{cause}\n")).into_response()
        }
        Failure::UnknownNamespace { namespace, pod } => {
            let cause = format!("the watch has not told of namespace {namespace} yet; try again");
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
    tracing::error!(namespace, pod, error = cause, "no answer could be made");
    // Not an answer but a failed call: the failurePolicy decides, as for any outage.
    let text = format!("gitvolume: {cause}\n");
    (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
}

/// Why a body was not read.
enum Unread {
    /// There are too many bytes of other calls.
    Shed,
    /// The caller's fault: a status, what it is, and what the caller is told.
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
    // The announced length is judged before a byte is read.
    if body.size_hint().lower() > BODY_LIMIT as u64 {
        return Err(Unread::TOO_LARGE);
    }
    // Most bodies are one part, which is not copied.
    let mut first = Bytes::new();
    let mut parts = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unread::INCOMPLETE)?;
        // Trailers are of no interest.
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

/// How long a body may take to arrive: as long as the caller waits for the whole call, which the API
/// server says in the query (`?timeout=5s`), and at most [`BODY_TIMEOUT`].
fn patience(uri: &Uri) -> Duration {
    let query = uri.query().unwrap_or_default();
    let said = query.split('&').find_map(|pair| {
        let seconds = pair.strip_prefix("timeout=")?.strip_suffix('s')?;
        // Whole seconds, as the webhook configuration has them; 0 would be no time at all.
        seconds.parse().ok().filter(|seconds| *seconds > 0)
    });
    said.map_or(BODY_TIMEOUT, Duration::from_secs)
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
