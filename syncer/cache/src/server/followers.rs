//! The HTTPS listener.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::CONNECTION;
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::metrics::Metrics;
use crate::server::write_deadline::WriteDeadline;
use crate::service::gate::Service;
use crate::service::gate::Stage;
use crate::service::gate::draining;

/// The timeout of the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The timeout of a request's head, which also limits the time between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(90);

/// The timeout of a follower that accepts no byte of its answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// The buffers of a connection in bytes: the longest head of a request, and the part of an answer that is not
/// encrypted yet.
const BUFFER: usize = 24 << 10;

/// The bytes of a connection that are encrypted and not sent yet.
const TLS_BUFFER: usize = 16 << 10;

/// The age after which the next answer closes a connection, ±50 % at random, so that replicas share
/// the load.
const AGE: Duration = Duration::from_secs(10 * 60);

/// The pause after an error of the listener itself, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What connections share.
#[derive(Clone)]
pub(crate) struct Followers {
    pub(crate) service: Arc<Service>,
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stage: watch::Receiver<Stage>,
    pub(crate) max_connections: usize,
}

impl Followers {
    /// Accepts connections until the process drains, and returns when all of them are closed.
    pub(crate) async fn accept(self, listener: TcpListener) {
        let permits = Arc::new(Semaphore::new(self.max_connections));
        let mut stage = self.stage.clone();
        let mut connections = JoinSet::new();
        loop {
            let next = async {
                // The semaphore is never closed.
                let permit = Arc::clone(&permits).acquire_owned().await.ok();
                (permit, listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                biased;
                () = draining(&mut stage) => break,
                Some(_) = connections.join_next() => continue,
                next = next => next,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let this = self.clone();
                    connections.spawn(async move {
                        let _open = this.metrics.count(|metrics| &metrics.connections);
                        this.connection(stream, peer).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    async fn connection(self, stream: TcpStream, peer: SocketAddr) {
        if let Err(error) = self.serve(stream).await {
            tracing::info!(v = 4, %peer, %error, "a connection ended early");
        }
    }

    async fn serve(self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let accepting = self
            .acceptor
            .accept_with(stream, |tls| tls.set_buffer_limit(Some(TLS_BUFFER)));
        let stream = timeout(HANDSHAKE_TIMEOUT, accepting).await??;
        let stream = WriteDeadline::new(stream, WRITE_TIMEOUT);
        let expires = Instant::now() + AGE.mul_f64(0.5 + fastrand::f64());
        let mut stage = self.stage.clone();
        let service = service_fn(move |request| {
            let (service, stage) = (Arc::clone(&self.service), self.stage.clone());
            async move {
                let mut reply = service.answer(request).await;
                // The only way to close a kept connection without losing a request.
                if Instant::now() >= expires || *stage.borrow() != Stage::Serving {
                    let close = HeaderValue::from_static("close");
                    reply.headers_mut().insert(CONNECTION, close);
                }
                Ok::<_, Infallible>(reply)
            }
        });
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(BUFFER)
                .serve_connection(TokioIo::new(stream), service)
        );
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = draining(&mut stage) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        served.map_err(io::Error::other)
    }
}
