use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use anyhow::ensure;
use certs::Bundle;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Calls the webhook as the API server does: over HTTPS, trusting only our CA.
pub(super) async fn post(
    address: SocketAddr,
    trusted: &Bundle,
    review: &Value,
) -> anyhow::Result<Value> {
    let mut roots = RootCertStore::empty();
    for certificate in trusted.certificates() {
        roots.add(certificate.clone())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(ServerName::from(address.ip()), stream)
        .await
        .context("the TLS handshake failed")?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::post("/mutate?timeout=5s")
        .header("host", address.to_string())
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(serde_json::to_vec(review)?)))?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    connection.abort();
    ensure!(
        head.status.is_success(),
        "{}: {}",
        head.status,
        String::from_utf8_lossy(&body).trim()
    );
    Ok(serde_json::from_slice(&body)?)
}
