use std::net::Ipv4Addr;
use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// A port of 127.0.0.1 for a program that cannot report which port it uses. A bound socket that
/// does not listen holds it: the kernel assigns the port to no other program, and a program that
/// sets `SO_REUSEADDR`, as servers do, can listen on it repeatedly.
#[derive(Debug)]
pub struct ReservedPort {
    _socket: TcpSocket,
    address: SocketAddr,
}

impl ReservedPort {
    /// Reserves a port until dropped.
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("a socket");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(any).expect("a free port");
        let address = socket.local_addr().expect("an address");
        Self {
            _socket: socket,
            address,
        }
    }

    /// The address for the program to listen on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Default for ReservedPort {
    fn default() -> Self {
        Self::new()
    }
}
