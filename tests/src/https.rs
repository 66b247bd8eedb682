//! Kept-alive TLS connections; a load of requests shares a few of them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use anyhow::Result;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Sends requests over one connection, one after the other.
pub type Sender = SendRequest<Full<Bytes>>;

/// A TLS configuration that trusts only the CA in this file.
pub fn connector(ca: &Path) -> Result<TlsConnector> {
    let certificate = CertificateDer::from_pem_file(ca);
    let mut roots = RootCertStore::empty();
    roots.add(certificate.with_context(|| ca.display().to_string())?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Connects to a server whose certificate is valid for its IP address.
pub async fn connect(address: SocketAddr, connector: &TlsConnector) -> Result<Sender> {
    let name = ServerName::IpAddress(address.ip().into());
    connect_to(name, address, connector).await
}

/// Connects to a server whose certificate is valid for this name.
pub async fn connect_to(
    name: ServerName<'static>,
    address: SocketAddr,
    connector: &TlsConnector,
) -> Result<Sender> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    connect_over(name, stream, connector).await
}

/// Connects to a server whose certificate is valid for this name, over this stream.
pub async fn connect_over<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    name: ServerName<'static>,
    stream: S,
    connector: &TlsConnector,
) -> Result<Sender> {
    let stream = connector.connect(name, stream).await?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // The next request reports the same error with more context.
        let _ = connection.await;
    });
    Ok(sender)
}
