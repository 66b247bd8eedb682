//! The CAs that sign the certificates of this replica and of the others, in a mounted file.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::HeaderValue;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::mounted::MountedValue;
use crate::tag::name_of;

/// Why the file is not used.
#[derive(Debug, thiserror::Error)]
pub enum CasError {
    /// The file cannot be read.
    #[error("cannot read the CAs of the replicas {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The content has no certificate, or something else than certificates.
    #[error("{path}: expected the CA certificates of the replicas in PEM")]
    Content {
        /// The file.
        path: PathBuf,
    },
}

/// The CAs of the replicas; a changed file is used without a restart.
pub(crate) struct ReplicaCas(MountedValue<Option<Arc<PemRoots>>, CasError>);

/// CA certificates.
pub(crate) struct PemRoots {
    /// The content of the file.
    pub(crate) pem: Bytes,
    /// A hash of it, for a header.
    pub(crate) tag: HeaderValue,
    pub(crate) roots: Arc<RootCertStore>,
}

impl ReplicaCas {
    /// Reads a file. A missing or empty one is no error: a certificate of a public CA comes without.
    pub(crate) fn read(path: &Path) -> Result<Self, CasError> {
        let (file, path) = (path.to_owned(), path.to_owned());
        let read = move || match fs::read(&file) {
            Ok(pem) => Ok(vec![pem]),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => {
                let path = file.clone();
                Err(CasError::Read { path, source })
            }
        };
        let parse = move |contents: &[Vec<u8>]| {
            let pem = contents.concat();
            if pem.trim_ascii().is_empty() {
                return Ok(None);
            }
            let parsed = PemRoots::parse(pem);
            let parsed = parsed.ok_or_else(|| CasError::Content { path: path.clone() });
            parsed.map(|roots| Some(Arc::new(roots)))
        };
        MountedValue::new(read, parse).map(Self)
    }

    /// The last usable content; `None` if the file is missing.
    pub(crate) fn get(&self) -> Option<Arc<PemRoots>> {
        self.0.get()
    }

    /// Uses a changed file from now on; returns whether it has changed.
    pub(crate) fn reload(&self) -> Result<bool, CasError> {
        self.0.reload()
    }
}

impl PemRoots {
    fn parse(pem: Vec<u8>) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots.add(certificate.ok()?).ok()?;
        }
        let tag = HeaderValue::try_from(name_of(&pem)).ok()?;
        (!roots.is_empty()).then(|| Self {
            pem: Bytes::from(pem),
            tag,
            roots: Arc::new(roots),
        })
    }
}

#[cfg(test)]
mod tests {
    use rcgen::CertificateParams;
    use rcgen::KeyPair;

    use super::*;

    fn ca() -> String {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&key);
        certificate.unwrap().pem()
    }

    #[test]
    fn the_last_usable_content_stays_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.crt");
        let cas = ReplicaCas::read(&path).unwrap();
        assert!(cas.get().is_none());
        let [first, next] = [ca(), ca()];
        fs::write(&path, &first).unwrap();
        assert!(cas.reload().unwrap());
        let old = cas.get().unwrap();
        assert_eq!(old.pem, first);
        fs::write(&path, "no certificate").unwrap();
        let error = cas.reload().unwrap_err().to_string();
        let sentence = "expected the CA certificates of the replicas in PEM";
        assert_eq!(error, format!("{}: {sentence}", path.display()));
        assert_eq!(cas.get().unwrap().pem, first);
        fs::write(&path, format!("{first}{next}")).unwrap();
        assert!(cas.reload().unwrap());
        let both = cas.get().unwrap();
        assert_eq!((old.roots.len(), both.roots.len()), (1, 2));
        assert_ne!(old.tag, both.tag);
    }
}
