//! How a replica reaches the others.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use url::Url;

/// The port of an address without one.
const HTTPS_PORT: u16 = 443;

/// The flags for peers.
#[derive(Clone, Debug)]
pub(crate) struct PeersConfig {
    /// The name that resolves to the addresses of all replicas.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The name in the replicas' certificates.
    pub(crate) name: ServerName<'static>,
    /// The CAs that sign them.
    pub(crate) ca_file: PathBuf,
    /// The listen address of this replica; `None` for all addresses of the machine.
    pub(crate) listen: Option<IpAddr>,
}

/// Why the other replicas cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeersError {
    #[error("cannot resolve {host}: {source}")]
    Resolve { host: String, source: io::Error },
    #[error("cannot read the CAs of the peers {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path}: expected the CA certificates of the peers in PEM")]
    Ca { path: PathBuf },
}

impl PeersConfig {
    /// The peers of `--peers`, whose certificates have the name `name` or else the address' host;
    /// `None` if that is neither a DNS name nor an IP address.
    pub(crate) fn new(
        url: &Url,
        name: Option<String>,
        ca_file: PathBuf,
        listen: Option<IpAddr>,
    ) -> Option<Self> {
        let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
        let name = name.unwrap_or_else(|| host.clone());
        Some(Self {
            name: ServerName::try_from(name).ok()?,
            host,
            port: url.port().unwrap_or(HTTPS_PORT),
            ca_file,
            listen,
        })
    }

    /// A TLS configuration that trusts the CAs in the file now, and no other.
    pub(crate) fn tls(&self) -> Result<Arc<ClientConfig>, PeersError> {
        let path = &self.ca_file;
        let pem = fs::read(path).map_err(|source| PeersError::Read {
            path: path.clone(),
            source,
        })?;
        let unusable = || PeersError::Ca { path: path.clone() };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|_| unusable())?;
            roots.add(certificate).map_err(|_| unusable())?;
        }
        if roots.is_empty() {
            return Err(unusable());
        }
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|_| unusable())?;
        Ok(Arc::new(
            config.with_root_certificates(roots).with_no_client_auth(),
        ))
    }
}
