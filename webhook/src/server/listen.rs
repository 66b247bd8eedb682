use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::str::FromStr;

use tokio::net::TcpListener;

/// An address to listen on: `:10250` for every address of the machine, or `127.0.0.1:0`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Listen {
    /// One address.
    At(SocketAddr),
    /// Every address, both IPv4 and IPv6 if available.
    Everywhere(u16),
}

/// An invalid listen address.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected an address such as :10250, 127.0.0.1:10250 or [::1]:10250")]
pub struct ParseListenError;

impl Listen {
    /// Binds the address. Port 0 takes a free port, which the returned address contains.
    pub async fn bind(self) -> io::Result<(TcpListener, SocketAddr)> {
        let listener = match self {
            Self::At(address) => TcpListener::bind(address).await?,
            Self::Everywhere(port) => {
                match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
                    Ok(listener) => listener,
                    // The machine has no IPv6.
                    Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?,
                }
            }
        };
        let address = listener.local_addr()?;
        Ok((listener, address))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => write!(f, "{address}"),
            Self::Everywhere(port) => write!(f, ":{port}"),
        }
    }
}

impl FromStr for Listen {
    type Err = ParseListenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix(':') {
            Some(port) => port
                .parse()
                .map(Self::Everywhere)
                .map_err(|_| ParseListenError),
            None => text.parse().map(Self::At).map_err(|_| ParseListenError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_printed_as_it_is_parsed() {
        for text in [":10250", "127.0.0.1:0", "[::1]:8080"] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
        for text in ["", "10250", ":", ":70000", "localhost:1", "::1"] {
            assert_eq!(text.parse::<Listen>(), Err(ParseListenError), "{text}");
        }
    }
}
