//! The serving certificate: two files that another program replaces.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::ClientHello;
use rustls::server::ResolvesServerCert;
use rustls::sign::CertifiedKey;

/// The time between two comparisons of the files' content. Content is compared because the kubelet
/// replaces a link that all mounted files lead through, which no watch of a file reports.
pub(crate) const CHECK: Duration = Duration::from_secs(10);

/// Why the files are not served.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read the serving certificate {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The content is not a certificate with its key.
    #[error(
        "{certificate} and {key}: expected a PEM certificate with its chain, and its private key"
    )]
    Content {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
    },
}

/// The current certificate.
pub(crate) struct ServedCertificate {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Current>,
}

#[derive(Clone)]
struct Current {
    /// What the files contained when they were read last.
    content: [Vec<u8>; 2],
    certified: Arc<CertifiedKey>,
}

impl fmt::Debug for ServedCertificate {
    // By hand, so that the key never reaches a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServedCertificate").finish_non_exhaustive()
    }
}

impl ServedCertificate {
    /// Reads the files.
    pub(crate) fn read(certificate: &Path, key: &Path) -> Result<Arc<Self>, CertificateError> {
        let content = contents(certificate, key)?;
        let certified = certified(certificate, key, &content)?;
        Ok(Arc::new(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current: RwLock::new(Current { content, certified }),
        }))
    }

    /// Serves changed files from the next handshake on. A partial update is an error that the next
    /// call repairs.
    pub(crate) fn reload(&self) -> Result<bool, CertificateError> {
        let content = contents(&self.certificate, &self.key)?;
        if content == self.current().content {
            return Ok(false);
        }
        let certified = certified(&self.certificate, &self.key, &content)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Current { content, certified };
        Ok(true)
    }

    /// The TLS configuration that serves the current certificate.
    pub(crate) fn config(self: &Arc<Self>) -> Result<ServerConfig, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as _);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn current(&self) -> Current {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }
}

impl ResolvesServerCert for ServedCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current.certified))
    }
}

fn contents(certificate: &Path, key: &Path) -> Result<[Vec<u8>; 2], CertificateError> {
    let read = |path: &Path| {
        fs::read(path).map_err(|source| CertificateError::Read {
            path: path.to_owned(),
            source,
        })
    };
    Ok([read(certificate)?, read(key)?])
}

fn certified(
    certificate: &Path,
    key: &Path,
    [chain, private]: &[Vec<u8>; 2],
) -> Result<Arc<CertifiedKey>, CertificateError> {
    let error = || CertificateError::Content {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let private = PrivateKeyDer::from_pem_slice(private).map_err(|_| error())?;
    let provider = ring::default_provider();
    let certified = CertifiedKey::from_der(chain.ok_or_else(error)?, private, &provider);
    certified.map(Arc::new).map_err(|_| error())
}
