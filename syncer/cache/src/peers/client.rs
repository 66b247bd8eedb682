//! One request to one replica.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::HeaderMap;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::client::conn::http1::SendRequest;
use hyper::header::CONTENT_TYPE;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::metrics::Metrics;
use crate::origin::error::OriginError;

/// The timeout of a connection, TLS included: a replica that hangs delays a follower by this time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The timeout of the head of an answer. A replica that leads may ask the git host for refs before.
const HEAD_TIMEOUT: Duration = Duration::from_secs(3);

/// The timeout between two parts of an answer. git servers send a byte every five seconds while they
/// prepare a pack.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a replica does not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeerError {
    #[error("cannot connect to the replica: {0}")]
    Connect(io::Error),
    #[error("the request to the replica failed: {0}")]
    Http(#[from] hyper::Error),
    #[error("the replica does not answer in time")]
    Timeout,
}

/// The answer of a replica while it arrives.
pub(crate) struct PeerAnswer {
    response: Response<Incoming>,
    /// It ends the connection when it is dropped.
    _sender: SendRequest<Full<Bytes>>,
    metrics: Arc<Metrics>,
}

/// Sends a request to the replica at an address, on a connection of its own: misses are rare.
pub(crate) async fn send(
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    name: ServerName<'static>,
    request: Request<Full<Bytes>>,
    metrics: Arc<Metrics>,
) -> Result<PeerAnswer, PeerError> {
    let connected = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        TlsConnector::from(tls).connect(name, stream).await
    };
    let connected = timeout(CONNECT_TIMEOUT, connected).await;
    let stream = connected.map_err(|_| PeerError::Timeout)?;
    let stream = TokioIo::new(stream.map_err(PeerError::Connect)?);
    let (mut sender, connection) = http1::handshake(stream).await?;
    // It ends with its sender, or when the replica closes it.
    tokio::spawn(connection);
    let response = timeout(HEAD_TIMEOUT, sender.send_request(request)).await;
    Ok(PeerAnswer {
        response: response.map_err(|_| PeerError::Timeout)??,
        _sender: sender,
        metrics,
    })
}

impl PeerAnswer {
    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Whether the replica has answered with git's bytes.
    pub(crate) fn is_git(&self, kind: &str) -> bool {
        let found = self.headers().get(CONTENT_TYPE);
        self.response.status() == StatusCode::OK
            && found.is_some_and(|found| found.as_bytes() == kind.as_bytes())
    }

    /// The next part of the answer; `None` at its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, OriginError> {
        let broken =
            |text: String| OriginError::Away(format!("another replica of the cache: {text}"));
        loop {
            let frame = timeout(IDLE_TIMEOUT, self.response.frame()).await;
            let frame = frame.map_err(|_| broken("timeout".to_owned()))?;
            let Some(frame) = frame else {
                return Ok(None);
            };
            let frame = frame.map_err(|error| broken(error.to_string()))?;
            if let Ok(data) = frame.into_data() {
                self.metrics.peer_bytes.add(data.len() as u64);
                return Ok(Some(data));
            }
        }
    }

    /// The whole answer; `None` if it is incomplete or longer than a limit in bytes.
    pub(crate) async fn read(mut self, longest: usize) -> Option<Bytes> {
        let mut bytes = Vec::new();
        while let Some(part) = self.next().await.ok()? {
            bytes.extend_from_slice(&part);
            if bytes.len() > longest {
                return None;
            }
        }
        Some(Bytes::from(bytes))
    }
}
