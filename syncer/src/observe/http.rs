//! The HTTP server: git-sync's paths, and the paths of the kubelet's probes.
//!
//! - `/metrics` and `/debug/pprof/`, if the flags enable them;
//! - `/status`: the state of each repository, as JSON, or as HTML for a browser;
//! - `POST /push`, if a flag enables it: deliveries of push webhooks;
//! - `/livez`: the process answers; `/readyz`: a tree is published and not too old;
//! - every other path, for any method: git-sync's answer, 503 until the first success and 200 from
//!   then on.

use std::convert::Infallible;
use std::io;
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
use hyper::header::ACCEPT;
use hyper::header::CONTENT_SECURITY_POLICY;
use hyper::header::CONTENT_TYPE;
use hyper::header::HeaderValue;
use hyper::header::VARY;
use hyper::header::X_CONTENT_TYPE_OPTIONS;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use jiff::Timestamp;
use push::listen;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::observe::health::Health;
use crate::observe::metrics;
use crate::observe::metrics::Metrics;
use crate::observe::push::PushEndpoint;
use crate::observe::status_page;

/// The page with the state of each repository.
const STATUS: &str = "/status";

/// The path of deliveries of push webhooks.
const PUSH: &str = "/push";

/// git-sync's page of Go's profiles.
const PROFILES: &str = "/debug/pprof/";

const NO_PROFILES: &str =
    "no Go profiles: the syncer is not written in Go; see /metrics for CPU time and memory\n";

/// The timeout for the head of a request on an open connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// The limit of connections; further ones wait until one is closed.
const MOST_CONNECTIONS: usize = 256;

/// The longest head of a request, in bytes.
const LONGEST_HEAD: usize = 16 * 1024;

/// The pause after an error of the listener itself, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The state that the server's answers come from.
pub(crate) struct Answers {
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
    pub(crate) serve_metrics: bool,
    pub(crate) serve_pprof: bool,
    /// `None` if pushes are not accepted.
    pub(crate) push: Option<PushEndpoint>,
}

/// A response before it is encoded as HTTP.
struct Page {
    status: StatusCode,
    /// `None` for an empty body.
    kind: Option<&'static str>,
    body: String,
}

impl Page {
    /// A response with text for a person.
    fn text(status: StatusCode, body: impl Into<String>) -> Self {
        Self {
            status,
            kind: Some("text/plain; charset=utf-8"),
            body: body.into(),
        }
    }
}

/// Listens, and answers requests in the background.
pub(crate) async fn serve(address: SocketAddr, answers: Arc<Answers>) -> io::Result<()> {
    // `:1234` means every address of both families, if the machine has both.
    let listener = listen(address).await?;
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
    // The semaphore is never closed.
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
                let answers = answers.clone();
                async move { Ok::<_, Infallible>(answers.to(request).await) }
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
    /// Starts a pass of each repository that deliveries name; never returns.
    pub(crate) async fn wake_pushed(&self) -> Infallible {
        match &self.push {
            Some(push) => push.run().await,
            None => std::future::pending().await,
        }
    }

    async fn to(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        match &self.push {
            Some(push) if request.uri().path() == PUSH => push.deliver(request).await,
            Some(_) | None => self.read(&request),
        }
    }

    fn read(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let Page { status, kind, body } = match path {
            STATUS => self.status(request),
            path => self.page(path),
        };
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if let Some(kind) = kind {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        if path == STATUS {
            let policy = HeaderValue::from_static(status_page::CONTENT_SECURITY_POLICY);
            headers.insert(CONTENT_SECURITY_POLICY, policy);
            headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            headers.insert(VARY, HeaderValue::from_static("accept"));
        }
        response
    }

    fn status(&self, request: &Request<Incoming>) -> Page {
        let accept = request.headers().get_all(ACCEPT).iter();
        let mut accept = accept.filter_map(|value| value.to_str().ok());
        let repos = self.health.standings();
        let (kind, body) = match accept.any(status_page::is_for_people) {
            true => (
                "text/html; charset=utf-8",
                status_page::to_html(&repos, Timestamp::now()),
            ),
            false => ("application/json", status_page::to_json(&repos)),
        };
        Page {
            status: StatusCode::OK,
            kind: Some(kind),
            body,
        }
    }

    fn page(&self, path: &str) -> Page {
        match path {
            "/metrics" if self.serve_metrics => Page {
                status: StatusCode::OK,
                kind: Some(metrics::CONTENT_TYPE),
                body: self.metrics.render(),
            },
            "/livez" => Page::text(StatusCode::OK, "ok\n"),
            "/readyz" => match self.health.unready(Instant::now()) {
                reasons if reasons.is_empty() => Page::text(StatusCode::OK, "ok\n"),
                reasons => Page::text(StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n"),
            },
            PROFILES if self.serve_pprof => Page::text(StatusCode::OK, NO_PROFILES),
            path if self.serve_pprof && path.starts_with(PROFILES) => {
                Page::text(StatusCode::NOT_FOUND, NO_PROFILES)
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
