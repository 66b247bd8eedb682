//! The HTTP server: git-sync's paths, and ours for a kubelet's probes.
//!
//! - `/metrics` and `/debug/pprof/`, where the flags ask for them;
//! - `/status`: how each repository stands, as JSON;
//! - `/livez`: the process answers; `/readyz`: there is something to read, and it is not too old;
//! - everything else, whatever the method: git-sync's answer, which never turns back: 503 until the
//!   first success, then 200.

use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::header::HeaderValue;
use hyper::header::LOCATION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::health::Health;
use crate::metrics;
use crate::metrics::Metrics;
use crate::pprof;

const PROFILES: &str = "/debug/pprof/";

/// A connection that sends no request, or no other, is closed after this.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections at a time; others wait until one is closed.
const MOST_CONNECTIONS: usize = 256;

/// The longest head of a request, in bytes.
const LONGEST_HEAD: usize = 16 * 1024;

/// After an error of the listener itself, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the server tells.
pub(crate) struct Answers {
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
    pub(crate) serve_metrics: bool,
    pub(crate) serve_pprof: bool,
}

/// An answer before it has HTTP's form.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    /// None for an empty body.
    pub(crate) kind: Option<&'static str>,
    pub(crate) body: String,
}

impl Page {
    /// Text for a person.
    pub(crate) fn text(status: StatusCode, body: impl Into<String>) -> Self {
        Self {
            status,
            kind: Some("text/plain; charset=utf-8"),
            body: body.into(),
        }
    }
}

/// Listens, and answers in the background.
pub(crate) async fn serve(address: SocketAddr, answers: Arc<Answers>) -> io::Result<()> {
    let listener = match TcpListener::bind(address).await {
        // `:1234` is every address of both families, where the machine has both.
        Err(_) if address.is_ipv6() && address.ip().is_unspecified() => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await?
        }
        listener => listener?,
    };
    tracing::info!(
        endpoint = %listener.local_addr()?,
        metrics = answers.serve_metrics,
        pprof = answers.serve_pprof,
        "serving HTTP"
    );
    tokio::spawn(accept(listener, answers));
    Ok(())
}

async fn accept(listener: TcpListener, answers: Arc<Answers>) {
    let free = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // Nobody closes the semaphore.
    while let Ok(permit) = free.clone().acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let answers = answers.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let response = answers.to(&request);
                async { Ok::<_, Infallible>(response) }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_buf_size(LONGEST_HEAD)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::info!(v = 3, %error, "a connection ended early");
            }
            drop(permit);
        });
    }
}

impl Answers {
    fn to(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let Page { status, kind, body } = self.page(path);
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = status;
        if let Some(kind) = kind {
            let kind = HeaderValue::from_static(kind);
            response.headers_mut().insert(CONTENT_TYPE, kind);
        }
        if status == StatusCode::TEMPORARY_REDIRECT {
            let location = HeaderValue::from_static(PROFILES);
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }

    fn page(&self, path: &str) -> Page {
        match path {
            "/metrics" if self.serve_metrics => Page {
                status: StatusCode::OK,
                kind: Some(metrics::CONTENT_TYPE),
                body: self.metrics.render(),
            },
            "/status" => Page {
                status: StatusCode::OK,
                kind: Some("application/json"),
                body: self.health.page(),
            },
            "/livez" => Page::text(StatusCode::OK, "ok\n"),
            "/readyz" => match self.health.unready(Instant::now()) {
                reasons if reasons.is_empty() => Page::text(StatusCode::OK, "ok\n"),
                reasons => Page::text(StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n"),
            },
            // The page's links are relative to it.
            "/debug/pprof" if self.serve_pprof => Page::text(StatusCode::TEMPORARY_REDIRECT, ""),
            path if self.serve_pprof && path.starts_with(PROFILES) => {
                pprof::page(&path[PROFILES.len()..])
            }
            _ if self.health.has_begun() => Page {
                status: StatusCode::OK,
                kind: None,
                body: String::new(),
            },
            _ => Page::text(StatusCode::SERVICE_UNAVAILABLE, "repo is not ready\n"),
        }
    }
}
