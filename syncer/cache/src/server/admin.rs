//! The listener for probes and Prometheus.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::sync::watch;

use crate::metrics;
use crate::metrics::Metrics;
use crate::service::gate::Stage;

/// The timeout of a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The most connections; further ones wait.
const MOST_CONNECTIONS: usize = 64;

/// The pause after an error of the listener itself.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers `/livez`, `/readyz` and `/metrics` until the process ends.
pub(crate) async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    stage: watch::Receiver<Stage>,
) {
    let free = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // The semaphore is never closed.
    while let Ok(permit) = Arc::clone(&free).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (metrics, stage) = (Arc::clone(&metrics), stage.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = answer(&request, &metrics, *stage.borrow());
                async { Ok::<_, Infallible>(answer) }
            });
            // A client that goes away is no error of the cache.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            drop(permit);
        });
    }
}

fn answer(request: &Request<Incoming>, metrics: &Metrics, stage: Stage) -> Response<Full<Bytes>> {
    let text = "text/plain; charset=utf-8";
    let (status, kind, body) = match (request.uri().path(), stage) {
        ("/livez", _) | ("/readyz", Stage::Serving) => (StatusCode::OK, text, "ok\n".to_owned()),
        ("/readyz", Stage::Draining) => {
            let body = "the cache shuts down\n".to_owned();
            (StatusCode::SERVICE_UNAVAILABLE, text, body)
        }
        ("/metrics", _) => (StatusCode::OK, metrics::CONTENT_TYPE, metrics.render()),
        _ => (StatusCode::NOT_FOUND, text, "not found\n".to_owned()),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
