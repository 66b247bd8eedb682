//! Connections to http servers, kept for the next poll of this repository or of another one that
//! trusts the same CAs.

use std::io;
use std::net::SocketAddr;
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

use crate::error::PollError;
use crate::network::Network;
use crate::pool::Aged;
use crate::pool::Connection;
use crate::pool::Pool;

/// The buffer size: it fits a request or the header of a response.
const BUFFER: usize = 16 << 10;

// The process has one set of connections, shared by all repositories.
static KEPT: Pool<Server, Sender> = Pool::new();

/// A server, with its proxy and the CAs that verify it.
#[derive(Clone)]
pub struct Server {
    is_tls: bool,
    host: String,
    port: u16,
    /// The TLS configuration; repositories with the same CAs share one value.
    tls: Arc<ClientConfig>,
    proxy: Option<Arc<Intercept>>,
}

impl Server {
    /// The server of an address; `None` if the address has no host.
    pub fn of(url: &Url, tls: Arc<ClientConfig>, proxy: Option<Arc<Intercept>>) -> Option<Self> {
        Some(Self {
            is_tls: url.scheme() == "https",
            host: url.host_str()?.to_owned(),
            port: url.port_or_known_default()?,
            tls,
            proxy,
        })
    }

    /// The server of an address that the network reaches with its own CAs.
    pub(crate) fn find(network: &dyn Network, at: &Url) -> Result<Self, PollError> {
        let tls = network.tls(None).map_err(PollError::Trust)?;
        let proxy = network.proxy(at).map(Arc::new);
        Self::of(at, tls, proxy).ok_or(PollError::Unfit("the address has no host"))
    }

    /// The proxy that receives the requests instead of the server; a proxy for TLS only tunnels
    /// bytes.
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

/// The sending half of a connection, with one request at a time.
pub(crate) type Sender = SendRequest<Full<Bytes>>;

/// A connection to a server, for the next request once the last response was read.
pub type ServerConnection = Aged<Sender>;

impl Connection for Sender {
    fn is_open(&self) -> bool {
        !self.is_closed()
    }
}

/// Sends a request on a kept connection, or on a new one if there is none or the kept one turns out
/// to be closed, which a server may do at any time.
pub async fn send(
    network: &dyn Network,
    server: &Server,
    request: &Request<Full<Bytes>>,
) -> Result<(Response<Incoming>, ServerConnection), PollError> {
    if let Some(mut kept) = KEPT.take(server) {
        match kept.connection.send_request(request.clone()).await {
            Ok(response) => return Ok((response, kept)),
            Err(error) => tracing::info!(v = 4, %error, "the idle connection was closed"),
        }
    }
    let mut opened = Aged::new(open(network, server).await?);
    let response = opened.connection.send_request(request.clone()).await?;
    Ok((response, opened))
}

/// Addresses a request to the server's proxy if it is a forward proxy, otherwise to the server.
pub(crate) fn address(
    server: &Server,
    mut request: Request<Full<Bytes>>,
) -> Result<Request<Full<Bytes>>, PollError> {
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

/// Keeps a connection whose last response was read to its end.
pub fn keep(server: &Server, connection: ServerConnection) {
    KEPT.keep(server.clone(), connection);
}

async fn open(network: &dyn Network, server: &Server) -> Result<Sender, PollError> {
    let (host, port) = match &server.proxy {
        Some(proxy) => (
            proxy.uri().host().unwrap_or_default(),
            proxy.uri().port_u16(),
        ),
        None => (server.host.as_str(), Some(server.port)),
    };
    let stream = connect(network, host, port.unwrap_or_default()).await?;
    match (&server.proxy, server.is_tls) {
        (_, false) => speak(TokioIo::new(stream)).await,
        (None, true) => speak(encrypt(server, stream).await?).await,
        (Some(proxy), true) => {
            let tunnel = tunnel(server, proxy, stream).await?;
            speak(encrypt(server, TokioIo::new(tunnel)).await?).await
        }
    }
}

/// Connects to the first address of a host that accepts.
pub(crate) async fn connect(
    network: &dyn Network,
    host: &str,
    port: u16,
) -> Result<TcpStream, PollError> {
    let connected = async {
        let ips = network.resolve(host).await?.into_iter();
        let addresses: Vec<SocketAddr> = ips.map(|ip| (ip, port).into()).collect();
        let stream = TcpStream::connect(&*addresses).await?;
        // A request is one write, so delaying it would save nothing.
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    let connected = tokio::time::timeout(network.connect_timeout(), connected).await;
    let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    connected.map_err(PollError::Connect)
}

async fn encrypt<S>(
    server: &Server,
    stream: S,
) -> Result<impl Read + Write + Unpin + Send + use<S>, PollError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let host = server.host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other);
    let name = name.map_err(PollError::Connect)?;
    let tls = TlsConnector::from(server.tls.clone());
    let stream = tls.connect(name, stream).await;
    Ok(TokioIo::new(stream.map_err(PollError::Connect)?))
}

/// Opens a tunnel through a proxy.
async fn tunnel(
    server: &Server,
    proxy: &Intercept,
    stream: TcpStream,
) -> Result<hyper::upgrade::Upgraded, PollError> {
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
        return Err(PollError::Tunnel(response.status()));
    }
    Ok(hyper::upgrade::on(response).await?)
}

async fn speak(stream: impl Read + Write + Unpin + Send + 'static) -> Result<Sender, PollError> {
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(BUFFER)
        .handshake(stream)
        .await?;
    // It ends with its sender, or when the server closes it; the next request detects both.
    tokio::spawn(connection);
    Ok(sender)
}
