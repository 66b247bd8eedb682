//! The listening socket of an HTTP server.

use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// Listens on an address. `[::]` means every address of both families, if the machine has both.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(_) if address.is_ipv6() && address.ip().is_unspecified() => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        listener => listener,
    }
}
