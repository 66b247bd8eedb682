//! The interface that the caller implements for connections: DNS, proxies and TLS.

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::proxy::matcher::Intercept;
use rustls::ClientConfig;
use url::Url;

/// The time that a connection to the git host may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// DNS, proxies and TLS of the process.
pub trait Network: Send + Sync {
    /// Resolves a host, given by its name or address, without blocking the event loop.
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a>;

    /// The proxy for an address; `None` if it is reached directly.
    fn proxy(&self, url: &Url) -> Option<Intercept>;

    /// The time that a connection may take. A host behind a firewall that drops packets never
    /// refuses one.
    fn connect_timeout(&self) -> Duration {
        CONNECT_TIMEOUT
    }

    /// The TLS configuration with the CAs of a file, or with the system's; equal CAs give the same
    /// value.
    fn tls(&self, ca: Option<&Path>) -> Result<Arc<ClientConfig>, Box<dyn Error + Send + Sync>>;
}

/// Pending addresses.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;
