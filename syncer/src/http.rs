//! git-sync's HTTP server: `/metrics`, and everywhere else whether a first sync has succeeded.

use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
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

use crate::metrics;
use crate::metrics::Metrics;

/// A connection that sends no request is closed after this.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// After an error of the listener itself, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the server tells.
pub(crate) struct Answers {
    pub(crate) metrics: Metrics,
    /// True from the first success on, for ever.
    pub(crate) is_ready: AtomicBool,
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
    tracing::info!(address = %listener.local_addr()?, "serving HTTP");
    tokio::spawn(accept(listener, answers));
    Ok(())
}

async fn accept(listener: TcpListener, answers: Arc<Answers>) {
    loop {
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
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::info!(v = 3, %error, "a connection ended early");
            }
        });
    }
}

impl Answers {
    fn to(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let is_metrics = request.uri().path() == "/metrics";
        let (status, body) = if is_metrics {
            (StatusCode::OK, self.metrics.render())
        } else if self.is_ready.load(Ordering::Relaxed) {
            (StatusCode::OK, String::new())
        } else {
            let body = "repo is not ready\n".to_owned();
            (StatusCode::SERVICE_UNAVAILABLE, body)
        };
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = status;
        if is_metrics {
            let kind = HeaderValue::from_static(metrics::CONTENT_TYPE);
            response.headers_mut().insert(CONTENT_TYPE, kind);
        }
        response
    }
}
