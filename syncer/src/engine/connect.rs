//! Connections to http servers, kept for the next poll: of this repository, or of another one that
//! trusts the same authorities.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Empty;
use http_body_util::Full;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::Uri;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::client::conn::http1::SendRequest;
use hyper::header::HOST;
use hyper::header::HeaderValue;
use hyper::header::PROXY_AUTHORIZATION;
use hyper::rt::Read;
use hyper::rt::Write;
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use crate::engine::EngineError;
use crate::engine::pool::Aged;
use crate::engine::pool::Connection;
use crate::engine::pool::Pool;
use crate::web;

/// Room for a request and for an answer's header.
const BUFFER: usize = 16 << 10;

// The process has one set of connections, whichever repository asks.
static KEPT: Pool<Server, Sender> = Pool::new();

/// A server, and the way to it.
#[derive(Clone)]
pub(super) struct Server {
    is_tls: bool,
    host: String,
    port: u16,
    /// Whom it must prove to be; what many repositories share is one value.
    tls: Arc<ClientConfig>,
    proxy: Option<Arc<Intercept>>,
}

impl Server {
    /// The server of an address; `None` where the address has no host.
    pub(super) fn of(
        url: &Url,
        tls: Arc<ClientConfig>,
        proxy: Option<Arc<Intercept>>,
    ) -> Option<Self> {
        Some(Self {
            is_tls: url.scheme() == "https",
            host: url.host_str()?.to_owned(),
            port: url.port_or_known_default()?,
            tls,
            proxy,
        })
    }

    /// The proxy that is asked instead of the server; one for TLS only passes bytes on.
    fn plain_proxy(&self) -> Option<&Intercept> {
        self.proxy.as_deref().filter(|_| !self.is_tls)
    }
}

impl PartialEq for Server {
    fn eq(&self, other: &Self) -> bool {
        self.is_tls == other.is_tls
            && self.host == other.host
            && self.port == other.port
            && Arc::ptr_eq(&self.tls, &other.tls)
            && match (&self.proxy, &other.proxy) {
                (None, None) => true,
                (Some(one), Some(other)) => {
                    one.uri() == other.uri() && one.basic_auth() == other.basic_auth()
                }
                _ => false,
            }
    }
}

/// The sending half of a connection, on which one request is under way at a time.
type Sender = SendRequest<Full<Bytes>>;

impl Connection for Sender {
    fn is_open(&self) -> bool {
        !self.is_closed()
    }
}

/// Sends a request on a kept connection, or on a new one if there is none or it proves closed, which
/// a server may do at any time.
pub(super) async fn send(
    server: &Server,
    request: &Request<Full<Bytes>>,
) -> Result<(Response<Incoming>, Aged<Sender>), EngineError> {
    if let Some(mut kept) = KEPT.take(server) {
        match kept.connection.send_request(request.clone()).await {
            Ok(response) => return Ok((response, kept)),
            Err(error) => tracing::info!(v = 4, %error, "the kept connection was closed"),
        }
    }
    let mut opened = Aged::new(open(server).await?);
    let response = opened.connection.send_request(request.clone()).await?;
    Ok((response, opened))
}

/// Makes a request one to the server's proxy, where that speaks for the server.
pub(super) fn address(
    server: &Server,
    mut request: Request<Full<Bytes>>,
) -> Result<Request<Full<Bytes>>, EngineError> {
    if let Some(proxy) = server.plain_proxy() {
        let authority = format!("{}:{}", server.host, server.port);
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        *request.uri_mut() = Uri::builder()
            .scheme("http")
            .authority(authority)
            .path_and_query(path)
            .build()?;
        if let Some(password) = proxy.basic_auth() {
            let headers = request.headers_mut();
            headers.insert(PROXY_AUTHORIZATION, password.clone());
        }
    }
    Ok(request)
}

/// Keeps a connection whose last answer was read to its end.
pub(super) fn keep(server: &Server, connection: Aged<Sender>) {
    KEPT.keep(server.clone(), connection);
}

async fn open(server: &Server) -> Result<Sender, EngineError> {
    let (host, port) = match &server.proxy {
        Some(proxy) => (
            proxy.uri().host().unwrap_or_default(),
            proxy.uri().port_u16(),
        ),
        None => (server.host.as_str(), Some(server.port)),
    };
    let stream = connect(host, port.unwrap_or_default()).await?;
    match (&server.proxy, server.is_tls) {
        (_, false) => speak(TokioIo::new(stream)).await,
        (None, true) => speak(encrypt(server, stream).await?).await,
        (Some(proxy), true) => {
            let tunnel = tunnel(server, proxy, stream).await?;
            speak(encrypt(server, TokioIo::new(tunnel)).await?).await
        }
    }
}

/// Reaches a host by its name or address; names are looked up away from the event loop.
pub(super) async fn connect(host: &str, port: u16) -> Result<TcpStream, EngineError> {
    let stream = web::connect(host, port).await;
    let stream = stream.map_err(EngineError::Connect)?;
    // A request is one write: there is nothing to wait for.
    stream.set_nodelay(true).map_err(EngineError::Connect)?;
    Ok(stream)
}

async fn encrypt<S>(
    server: &Server,
    stream: S,
) -> Result<impl Read + Write + Unpin + Send + use<S>, EngineError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let host = server.host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other);
    let name = name.map_err(EngineError::Connect)?;
    let tls = TlsConnector::from(server.tls.clone());
    let stream = tls.connect(name, stream).await;
    Ok(TokioIo::new(stream.map_err(EngineError::Connect)?))
}

/// Asks a proxy to pass bytes on to the server.
async fn tunnel(
    server: &Server,
    proxy: &Intercept,
    stream: TcpStream,
) -> Result<hyper::upgrade::Upgraded, EngineError> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(BUFFER)
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await?;
    tokio::spawn(connection.with_upgrades());
    let authority = format!("{}:{}", server.host, server.port);
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = Uri::builder().authority(authority.as_str()).build()?;
    let headers = request.headers_mut();
    headers.insert(
        HOST,
        HeaderValue::try_from(authority).map_err(hyper::http::Error::from)?,
    );
    if let Some(password) = proxy.basic_auth() {
        headers.insert(PROXY_AUTHORIZATION, password.clone());
    }
    let response = sender.send_request(request).await?;
    if response.status() != StatusCode::OK {
        return Err(EngineError::Tunnel(response.status()));
    }
    Ok(hyper::upgrade::on(response).await?)
}

async fn speak(stream: impl Read + Write + Unpin + Send + 'static) -> Result<Sender, EngineError> {
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(BUFFER)
        .handshake(stream)
        .await?;
    // It ends with its sender, or when the server closes it; either is seen at the next request.
    tokio::spawn(connection);
    Ok(sender)
}
