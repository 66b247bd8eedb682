//! The serving certificate in mounted files, read again when they change.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use tokio_rustls::TlsAcceptor;

use crate::lock::lock;
use crate::receiver::error::TlsFilesError;
use crate::receiver::error::chain;

/// The time between two reads of the files.
const KEPT: Duration = Duration::from_secs(10);

/// A certificate and its key. While changed files cannot be used, the last usable ones are served.
pub(super) struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
    state: Mutex<ServedCertificate>,
}

struct ServedCertificate {
    at: Instant,
    /// The content that was read last, usable or not.
    content: Content,
    config: Arc<ServerConfig>,
}

/// The content of both files; one of them is a key, so there is no `Debug`.
#[derive(Eq, PartialEq)]
struct Content {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl TlsFiles {
    /// Reads the files.
    pub(super) fn new(certificate: PathBuf, key: PathBuf) -> Result<Self, TlsFilesError> {
        let content = Content::read(&certificate, &key)?;
        let config = Arc::new(content.config(&certificate, &key)?);
        Ok(Self {
            certificate,
            key,
            state: Mutex::new(ServedCertificate {
                at: Instant::now(),
                content,
                config,
            }),
        })
    }

    /// The acceptor for the next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let mut state = lock(&self.state);
        let now = Instant::now();
        if now.saturating_duration_since(state.at) >= KEPT {
            state.at = now;
            if let Err(error) = self.read_again(&mut state) {
                let error = chain(&error);
                tracing::error!(error, "the certificate that was read before stays in use");
            }
        }
        TlsAcceptor::from(state.config.clone())
    }

    fn read_again(&self, state: &mut ServedCertificate) -> Result<(), TlsFilesError> {
        let content = Content::read(&self.certificate, &self.key)?;
        if content != state.content {
            let config = content.config(&self.certificate, &self.key);
            // Unusable files are reported once.
            state.content = content;
            state.config = Arc::new(config?);
            tracing::info!("serving a new certificate");
        }
        Ok(())
    }
}

impl Content {
    fn read(certificate: &Path, key: &Path) -> Result<Self, TlsFilesError> {
        let read = |path: &Path| {
            fs::read(path).map_err(|source| TlsFilesError::Read {
                path: path.to_owned(),
                source,
            })
        };
        Ok(Self {
            certificate: read(certificate)?,
            key: read(key)?,
        })
    }

    /// The TLS configuration with this content; the paths are for errors.
    fn config(&self, certificate: &Path, key: &Path) -> Result<ServerConfig, TlsFilesError> {
        let pem = |path: &Path| {
            let path = path.to_owned();
            move |source| TlsFilesError::Pem { path, source }
        };
        let chain = CertificateDer::pem_slice_iter(&self.certificate);
        let chain = chain
            .collect::<Result<Vec<_>, _>>()
            .map_err(pem(certificate))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(pem(key))?;
        let unusable = |source| TlsFilesError::Certificate {
            path: certificate.to_owned(),
            source,
        };
        ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(unusable)
    }
}
