//! Listen addresses.

use std::io;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// Binds `:PORT`, for every address of the machine, or `ADDRESS:PORT`.
pub(crate) async fn bind(text: &str) -> io::Result<TcpListener> {
    match text.strip_prefix(':').and_then(|port| port.parse().ok()) {
        Some(port) => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
            Ok(listener) => Ok(listener),
            // The machine has no IPv6.
            Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await,
        },
        None => {
            let address: SocketAddr = text.parse().map_err(|_| {
                let sentence = "expected an address such as :8443, 127.0.0.1:8443 or [::1]:8443";
                io::Error::new(io::ErrorKind::InvalidInput, sentence)
            })?;
            TcpListener::bind(address).await
        }
    }
}
