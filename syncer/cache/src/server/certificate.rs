//! The serving certificate: two files that another program replaces.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::ClientHello;
use rustls::server::ResolvesServerCert;
use rustls::sign::CertifiedKey;

use crate::mounted::MountedValue;

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
pub(crate) struct ServedCertificate(MountedValue<Arc<CertifiedKey>, CertificateError>);

impl fmt::Debug for ServedCertificate {
    // By hand, so that the key never reaches a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServedCertificate").finish_non_exhaustive()
    }
}

impl ServedCertificate {
    /// Reads the files.
    pub(crate) fn read(certificate: &Path, key: &Path) -> Result<Arc<Self>, CertificateError> {
        let paths = [certificate.to_owned(), key.to_owned()];
        let read = {
            let paths = paths.clone();
            move || paths.iter().map(|path| content(path)).collect()
        };
        let value = MountedValue::new(read, move |content| certified(&paths, content));
        Ok(Arc::new(Self(value?)))
    }

    /// Serves changed files from the next handshake on; returns whether they have changed.
    pub(crate) fn reload(&self) -> Result<bool, CertificateError> {
        self.0.reload()
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
}

impl ResolvesServerCert for ServedCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.get())
    }
}

fn content(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|source| CertificateError::Read {
        path: path.to_owned(),
        source,
    })
}

fn certified(
    [certificate, key]: &[PathBuf; 2],
    content: &[Vec<u8>],
) -> Result<Arc<CertifiedKey>, CertificateError> {
    let error = || CertificateError::Content {
        certificate: certificate.clone(),
        key: key.clone(),
    };
    let [chain, private] = content else {
        return Err(error());
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let private = PrivateKeyDer::from_pem_slice(private).map_err(|_| error())?;
    let provider = ring::default_provider();
    let certified = CertifiedKey::from_der(chain.ok_or_else(error)?, private, &provider);
    certified.map(Arc::new).map_err(|_| error())
}
