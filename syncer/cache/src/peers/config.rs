//! How a replica reaches the others.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::ServerName;
use url::Url;

use crate::cas::ReplicaCas;

/// The port of an address without one.
const HTTPS_PORT: u16 = 443;

/// The flags for peers.
#[derive(Clone)]
pub(crate) struct PeersConfig {
    /// The name that resolves to the addresses of all replicas.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The name in the replicas' certificates.
    pub(crate) name: ServerName<'static>,
    /// The CAs that sign them.
    pub(crate) cas: Arc<ReplicaCas>,
    /// The listen address of this replica; `None` for all addresses of the machine.
    pub(crate) listen: Option<IpAddr>,
}

/// Why the other replicas cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeersError {
    #[error("cannot resolve {host}: {source}")]
    Resolve { host: String, source: io::Error },
    #[error("the file of --tls-ca is missing or empty")]
    NoCa,
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

impl PeersConfig {
    /// The peers of `--peers`, whose certificates have the name `name` or else the address' host;
    /// `None` if that is neither a DNS name nor an IP address.
    pub(crate) fn new(
        url: &Url,
        name: Option<String>,
        cas: Arc<ReplicaCas>,
        listen: Option<IpAddr>,
    ) -> Option<Self> {
        let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
        let name = name.unwrap_or_else(|| host.clone());
        Some(Self {
            name: ServerName::try_from(name).ok()?,
            host,
            port: url.port().unwrap_or(HTTPS_PORT),
            cas,
            listen,
        })
    }

    /// A TLS configuration that trusts the CAs in the file now, and no other.
    pub(crate) fn tls(&self) -> Result<Arc<ClientConfig>, PeersError> {
        let cas = self.cas.get().ok_or(PeersError::NoCa)?;
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(Arc::clone(&cas.roots));
        Ok(Arc::new(config.with_no_client_auth()))
    }
}
