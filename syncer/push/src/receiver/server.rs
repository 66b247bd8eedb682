//! The receiver's HTTP server, from start to end.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::CONNECTION;
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio::time::timeout;

use crate::listen::listen;
use crate::receiver::answers::PushAnswers;
use crate::receiver::cache::CacheClient;
use crate::receiver::config::PushConfig;
use crate::receiver::error::PushError;
use crate::receiver::metrics::PushMetrics;
use crate::receiver::relay::Relay;
use crate::receiver::tls::TlsFiles;

/// The timeout for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The timeout for the head of a request on an open connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// The limit of connections; further ones wait until one is closed.
const MOST_CONNECTIONS: usize = 512;

/// The longest head of a request, in bytes; git hosts send less than 4 KiB.
const LONGEST_HEAD: usize = 16 * 1024;

/// The pause after an error of the listener itself, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The time at the end in which open requests are finished.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// The stage of the process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum PushStage {
    Serving,
    /// Still serving, but no load balancer should send further requests.
    Draining,
    /// Each connection ends with its present request.
    Ending,
}

/// The state that all connections share.
struct PushServer {
    answers: PushAnswers,
    tls: Option<TlsFiles>,
    stage: watch::Receiver<PushStage>,
}

/// Receives deliveries until `asked_to_end` returns the name of a signal; then it drains: `/readyz`
/// fails, after `--drain` no new connection is accepted, open requests and the last wake-ups are
/// finished.
pub async fn run(
    config: PushConfig,
    asked_to_end: impl Future<Output = &'static str>,
) -> Result<(), PushError> {
    let metrics = Arc::new(PushMetrics::default());
    let tls = config
        .tls
        .map(|(certificate, key)| TlsFiles::new(certificate, key));
    let tls = tls.transpose()?;
    let cache = CacheClient::new(config.cache, metrics.clone()).ok_or(PushError::Cache)?;
    let relay = Arc::new(Relay::new(cache));
    let listener = listen(config.listen).await.map_err(PushError::Listen)?;
    tracing::info!(
        endpoint = %listener.local_addr().map_err(PushError::Listen)?,
        tls = tls.is_some(),
        "receiving pushes"
    );
    let stage = watch::Sender::new(PushStage::Serving);
    let answers = PushAnswers::new(&config.secret_dir, config.prefixes, relay.clone(), metrics)?;
    let server = Arc::new(PushServer {
        answers,
        tls,
        stage: stage.subscribe(),
    });
    let free = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let accepting = accept(listener, server, free.clone());
    let ended = async {
        let signal = asked_to_end.await;
        tracing::info!(signal, "draining");
        stage.send_replace(PushStage::Draining);
        sleep(config.drain).await;
    };
    tokio::select! {
        () = ended => {}
        () = accepting => {}
        () = relay.run() => {}
    }
    stage.send_replace(PushStage::Ending);
    // Each connection has a permit.
    if timeout(END_TIMEOUT, free.acquire_many(MOST_CONNECTIONS as u32))
        .await
        .is_err()
    {
        tracing::info!("connections that are still open are closed");
    }
    relay.finish().await;
    Ok(())
}

/// Accepts connections; never returns.
async fn accept(listener: TcpListener, server: Arc<PushServer>, free: Arc<Semaphore>) {
    // The semaphore is never closed.
    while let Ok(permit) = free.clone().acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let server = server.clone();
        tokio::spawn(async move {
            if let Err(error) = server.connection(stream).await {
                tracing::info!(v = 3, %error, "a connection ended early");
            }
            drop(permit);
        });
    }
}

impl PushServer {
    async fn connection(self: Arc<Self>, stream: TcpStream) -> io::Result<()> {
        match &self.tls {
            None => self.clone().serve(stream).await,
            Some(tls) => {
                let stream = timeout(HANDSHAKE_TIMEOUT, tls.acceptor().accept(stream)).await??;
                self.serve(stream).await
            }
        }
    }

    async fn serve(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        let mut stage = self.stage.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let server = self.clone();
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_buf_size(LONGEST_HEAD)
                .serve_connection(TokioIo::new(stream), service)
        );
        let is_ending = async {
            // The sender lives as long as the process.
            let _ = stage.wait_for(|stage| *stage == PushStage::Ending).await;
        };
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = is_ending => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        served.map_err(io::Error::other)
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let is_serving = || *self.stage.borrow() == PushStage::Serving;
        let mut response = self.answers.to(request, is_serving()).await;
        if !is_serving() {
            // The client opens its next connection to another replica.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        response
    }
}
