use std::convert::Infallible;
use std::hash::BuildHasher;
use std::hash::RandomState;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::Request;
use axum::http::Response;
use axum::http::header::CONNECTION;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::Service;

use super::head_deadline::Calls;
use super::head_deadline::HeadDeadline;
use crate::metrics::Metrics;
use crate::server::limits::Limits;
use crate::shutdown::Stage;
use crate::shutdown::reached;

/// Read buffer of a connection in bytes: all headers, or a part of a body. Together with the number
/// of connections it bounds the memory of connections without a call in flight.
const BUFFER: usize = 64 * 1024;

/// The state that every connection shares.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) acceptor: TlsAcceptor,
    pub(super) router: Router,
    pub(super) metrics: Arc<Metrics>,
    pub(super) limits: Limits,
    pub(super) stage: watch::Receiver<Stage>,
}

impl Connection {
    /// Serves one connection until it closes.
    pub(super) async fn run(self, stream: TcpStream, peer: SocketAddr) {
        match self.handshake(stream).await {
            Ok(stream) => self.serve(stream, peer).await,
            Err(error) => {
                self.metrics.tls_handshake_failures.inc();
                tracing::debug!(%peer, %error, "a TLS handshake failed");
            }
        }
    }

    async fn handshake(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        // An answer is one small write that the caller waits for, so Nagle's algorithm would only
        // delay it.
        stream.set_nodelay(true)?;
        timeout(self.limits.handshake, self.acceptor.accept(stream)).await?
    }

    async fn serve(self, stream: TlsStream<TcpStream>, peer: SocketAddr) {
        let Self {
            acceptor: _,
            router,
            metrics: _,
            limits,
            mut stage,
        } = self;
        let calls = Calls::default();
        let io = TokioIo::new(HeadDeadline::new(
            stream,
            limits.silence,
            limits.head,
            calls.clone(),
        ));
        let age = limits.age + jitter(limits.age);
        let expires = (age > Duration::ZERO).then(|| Instant::now() + age);
        let now = stage.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let mut router = router.clone();
            let calls = calls.clone();
            let now = now.clone();
            async move {
                calls.begin();
                let mut response = answer(&mut router, request).await;
                let is_old = expires.is_some_and(|expires| Instant::now() >= expires);
                if is_old || *now.borrow() != Stage::Serving {
                    // The only way to close a kept connection without losing a call: the caller
                    // knows before it sends the next one.
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(CONNECTION, close);
                }
                calls.end();
                Ok::<_, Infallible>(response)
            }
        });
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.idle)
                .max_buf_size(BUFFER)
                .serve_connection(io, service)
        );
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = reached(&mut stage, Stage::Stopping) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = served {
            tracing::debug!(%peer, %error, "a connection failed");
        }
    }
}

async fn answer(router: &mut Router, request: Request<Incoming>) -> Response<Body> {
    match router.call(request.map(Body::new)).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// A random duration up to `most`; the standard library's hash keys are random enough for this.
fn jitter(most: Duration) -> Duration {
    let random = RandomState::new().hash_one(0u8);
    most.mul_f64(random as f64 / u64::MAX as f64)
}
