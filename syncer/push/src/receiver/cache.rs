//! The client of the cache: one wake-up goes to every replica.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use args::wake::PATH;
use args::wake::Wake;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Method;
use hyper::Request;
use hyper::Uri;
use hyper::client::conn::http1;
use hyper::header::AUTHORIZATION;
use hyper::header::CONTENT_TYPE;
use hyper::header::HOST;
use hyper::header::HeaderValue;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tokio::net::lookup_host;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::lock::lock;
use crate::receiver::config::CacheConfig;
use crate::receiver::error::RelayError;
use crate::receiver::error::chain;
use crate::receiver::metrics::PushMetrics;

/// The timeout of a wake-up, from the lookup of the addresses on.
const RELAY_TIMEOUT: Duration = Duration::from_secs(2);

/// The port of an address without one.
const HTTPS_PORT: u16 = 443;

/// The number of replicas that get a wake-up.
const MOST_REPLICAS: usize = 64;

/// The cache, as the receiver reaches it.
pub(super) struct CacheClient {
    config: CacheConfig,
    host: String,
    port: u16,
    name: ServerName<'static>,
    /// What fails: a replica by its address, or everything, as the empty text. Each is logged when it
    /// begins and when it ends.
    failing: Mutex<BTreeSet<String>>,
    metrics: Arc<PushMetrics>,
}

/// One wake-up as every replica gets it.
struct Message {
    body: Vec<u8>,
    authorization: HeaderValue,
    tls: TlsConnector,
}

impl CacheClient {
    /// A client; `None` if the host of the address is neither a DNS name nor an IP address.
    pub(super) fn new(config: CacheConfig, metrics: Arc<PushMetrics>) -> Option<Self> {
        let host = config.url.host_str()?.trim_matches(['[', ']']).to_owned();
        Some(Self {
            name: ServerName::try_from(host.clone()).ok()?,
            port: config.url.port().unwrap_or(HTTPS_PORT),
            host,
            config,
            failing: Mutex::default(),
            metrics,
        })
    }

    /// Sends a wake-up to every replica, all at the same time. A lost one is counted and logged.
    pub(super) async fn send(self: Arc<Self>, wake: Wake) {
        let found = match self.message(&wake) {
            Ok(message) => self.addresses().await.map(|addresses| (message, addresses)),
            Err(error) => Err(error),
        };
        let (message, addresses) = match found {
            Ok(found) => found,
            Err(error) => {
                self.metrics.count_relay(true);
                return self.record("", Err(error));
            }
        };
        self.record("", Ok(()));
        self.send_to(addresses, message).await;
    }

    async fn send_to(self: Arc<Self>, addresses: BTreeSet<SocketAddr>, message: Message) {
        // Replicas that are gone are forgotten.
        let replicas: BTreeSet<_> = addresses.iter().map(ToString::to_string).collect();
        lock(&self.failing).retain(|replica| replicas.contains(replica));
        let message = Arc::new(message);
        let mut replicas = JoinSet::new();
        for address in addresses {
            let (client, message) = (self.clone(), message.clone());
            replicas.spawn(async move {
                let sent = timeout(RELAY_TIMEOUT, client.send_one(address, &message)).await;
                let sent = sent.unwrap_or(Err(RelayError::Timeout));
                client.metrics.count_relay(sent.is_err());
                client.record(&address.to_string(), sent);
            });
        }
        replicas.join_all().await;
    }

    fn message(&self, wake: &Wake) -> Result<Message, RelayError> {
        Ok(Message {
            body: serde_json::to_vec(wake)?,
            authorization: bearer(&self.config.key_file)?,
            tls: TlsConnector::from(Arc::new(tls(&self.config.ca_file)?)),
        })
    }

    async fn addresses(&self) -> Result<BTreeSet<SocketAddr>, RelayError> {
        let found = timeout(RELAY_TIMEOUT, lookup_host((self.host.as_str(), self.port))).await;
        let found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let found = found.map_err(RelayError::Resolve)?;
        Ok(found.take(MOST_REPLICAS).collect())
    }

    async fn send_one(&self, address: SocketAddr, message: &Message) -> Result<(), RelayError> {
        let stream = TcpStream::connect(address).await;
        let stream = stream.map_err(RelayError::Connect)?;
        let stream = message.tls.connect(self.name.clone(), stream).await;
        let stream = stream.map_err(RelayError::Connect)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut request = Request::new(Full::new(Bytes::from(message.body.clone())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static(PATH);
        let headers = request.headers_mut();
        let host = format!(
            "{}:{}",
            self.config.url.host_str().unwrap_or_default(),
            self.port
        );
        if let Ok(host) = HeaderValue::try_from(host) {
            headers.insert(HOST, host);
        }
        headers.insert(AUTHORIZATION, message.authorization.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let response = tokio::select! {
            response = sender.send_request(request) => response?,
            // It ends only with an error, or when the replica closes the connection.
            ended = connection => {
                ended?;
                return Err(RelayError::Connect(io::ErrorKind::UnexpectedEof.into()));
            }
        };
        match response.status() {
            status if status.is_success() => Ok(()),
            status => Err(RelayError::Status(status)),
        }
    }

    /// Logs the beginning and the end of a failure.
    fn record(&self, replica: &str, sent: Result<(), RelayError>) {
        let mut failing = lock(&self.failing);
        match sent {
            Err(error) if failing.insert(replica.to_owned()) => {
                let error = chain(&error);
                tracing::error!(
                    error,
                    replica,
                    "a wake-up is lost: the cache polls after its period"
                );
            }
            Ok(()) if failing.remove(replica) => {
                tracing::info!(replica, "wake-ups reach the cache again");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, RelayError> {
    fs::read(path).map_err(|source| RelayError::Read {
        path: path.to_owned(),
        source,
    })
}

/// The header with the key in a file, which is read for each wake-up, as it may be rotated.
fn bearer(path: &Path) -> Result<HeaderValue, RelayError> {
    let key = read(path)?;
    let header = [b"Bearer ", key.trim_ascii()].concat();
    let header = HeaderValue::from_bytes(&header).ok();
    let mut header = header
        .filter(|_| !key.trim_ascii().is_empty())
        .ok_or_else(|| RelayError::Key(path.to_owned()))?;
    header.set_sensitive(true);
    Ok(header)
}

/// A TLS configuration that trusts the CAs in a file, and no other.
fn tls(path: &Path) -> Result<ClientConfig, RelayError> {
    let unusable = || RelayError::Ca(path.to_owned());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&read(path)?) {
        let certificate = certificate.map_err(|_| unusable())?;
        roots.add(certificate).map_err(|_| unusable())?;
    }
    if roots.is_empty() {
        return Err(unusable());
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions();
    let config = config.map_err(|_| unusable())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
