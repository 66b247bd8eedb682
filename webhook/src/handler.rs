//! One call of the API server: its body, its answer, one log line, one count.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::header::RETRY_AFTER;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::LengthLimitError;
use http_body_util::Limited;
use tokio::sync::Semaphore;

use crate::judge::Failure;
use crate::judge::Judge;
use crate::judge::Verdict;
use crate::metrics::Metrics;

/// More than the API server ever sends: it takes objects of up to 3 MiB, and a review may hold two.
pub const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// Calls answered at a time; more are told to come back. An answer takes microseconds, so this is
/// reached only when bodies arrive slowly, and it bounds their memory.
pub const MAX_INFLIGHT: usize = 64;

/// How long a body may take to arrive; the API server waits five seconds for the whole call.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What every call shares.
pub struct Mutate {
    judge: Arc<dyn Judge>,
    metrics: Arc<Metrics>,
    inflight: Semaphore,
}

impl Mutate {
    /// Answers by this judge, at most so many calls at a time.
    pub fn new(judge: Arc<dyn Judge>, metrics: Arc<Metrics>, max_inflight: usize) -> Self {
        Self {
            judge,
            metrics,
            inflight: Semaphore::new(max_inflight),
        }
    }
}

/// Keeps the gauge right also when the caller goes away and the call is dropped.
struct Inflight<'a>(&'a Metrics);

impl<'a> Inflight<'a> {
    fn enter(metrics: &'a Metrics) -> Self {
        metrics.inflight.inc();
        Self(metrics)
    }
}

impl Drop for Inflight<'_> {
    fn drop(&mut self) {
        self.0.inflight.dec();
    }
}

/// The route `POST /mutate`.
pub fn router(mutate: Mutate) -> Router {
    Router::new()
        .route("/mutate", post(answer))
        .with_state(Arc::new(mutate))
}

async fn answer(State(mutate): State<Arc<Mutate>>, body: Body) -> Response {
    let begun = Instant::now();
    let Ok(_permit) = mutate.inflight.try_acquire() else {
        mutate.metrics.count("error", "overload", begun.elapsed());
        // The API server's client waits and asks again within the webhook's own timeout.
        let busy = (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many calls at a time\n",
        );
        let mut response = busy.into_response();
        let retry = HeaderValue::from_static("1");
        response.headers_mut().insert(RETRY_AFTER, retry);
        return response;
    };
    let _inflight = Inflight::enter(&mutate.metrics);
    let body = match read(body).await {
        Ok(body) => body,
        Err((status, reason, text)) => {
            tracing::warn!(%status, reason, "a call could not be read");
            mutate.metrics.count("error", reason, begun.elapsed());
            return (status, text).into_response();
        }
    };
    // No lock is held and no state is shared inside, so nothing can be left half done.
    let judged = catch_unwind(AssertUnwindSafe(|| mutate.judge.judge(&body)));
    match judged {
        Ok(Ok(verdict)) => given(&mutate.metrics, verdict, begun),
        Ok(Err(failure)) => failed(&mutate.metrics, &failure, begun),
        Err(_) => {
            // The panic's own text is on standard error already; it is not for the caller.
            tracing::error!("the answer panicked");
            mutate.metrics.count("error", "panic", begun.elapsed());
            let text = "gitvolume: an internal error, see the webhook's log\n";
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
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
            metrics.count("error", "unreadable", took);
            tracing::warn!(error = cause, "the body is no review");
            (StatusCode::BAD_REQUEST, format!("{cause}\n")).into_response()
        }
        Failure::Internal {
            namespace,
            pod,
            cause,
        } => {
            metrics.count("error", "internal", took);
            tracing::error!(namespace, pod, error = cause, "no answer could be made");
            // Not an answer but a failed call: the failurePolicy decides, as for any outage.
            let text = format!("gitvolume: {cause}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}

type Unread = (StatusCode, &'static str, &'static str);

async fn read(body: Body) -> Result<Bytes, Unread> {
    const TOO_LARGE: Unread = (
        StatusCode::PAYLOAD_TOO_LARGE,
        "too-large",
        "the body is larger than 8 MiB\n",
    );
    // The announced length is judged before a byte is read.
    if axum::body::HttpBody::size_hint(&body).lower() > BODY_LIMIT as u64 {
        return Err(TOO_LARGE);
    }
    let collected = Limited::new(body, BODY_LIMIT).collect();
    match tokio::time::timeout(BODY_TIMEOUT, collected).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(TOO_LARGE),
        Ok(Err(_)) => Err((
            StatusCode::BAD_REQUEST,
            "incomplete",
            "the body is not complete\n",
        )),
        Err(_) => Err((
            StatusCode::REQUEST_TIMEOUT,
            "slow",
            "the body did not arrive in time\n",
        )),
    }
}
