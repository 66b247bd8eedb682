use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;

use crate::BundleError;
use crate::Leaf;
use crate::Names;
use crate::bundle::read_certificates;
use crate::issue::server_names;

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const CA: &str = "ca.crt";

/// A directory with a serving certificate that another tool maintains, such as a mounted Secret of
/// type
/// `kubernetes.io/tls`.
///
/// Files are compared by content, because the kubelet renames the symlink `..data` that all of them
/// lead through, which a watch of a file never reports (kubewarden/policy-server#1026,
/// kubernetes-sigs/windows-gmsa#178).
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    names: Names,
    /// The content that was read last, whether accepted or not.
    read: Option<Files>,
    /// Expiry of the accepted certificate.
    taken: Option<SystemTime>,
    trouble: Option<FilesError>,
}

/// The content of the files. No `Debug`: one of them is a key.
#[derive(Clone, Eq, PartialEq)]
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    ca: Vec<u8>,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").finish_non_exhaustive()
    }
}

/// The reason why the files of a directory are not served.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// A file is missing or cannot be read.
    #[error("cannot read {path}: {cause}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        cause: String,
    },
    /// The certificate file has other content.
    #[error("{path}: {cause}; expected a PEM certificate, followed by its chain")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// The parse error.
        cause: String,
    },
    /// The key file has other content.
    #[error(
        "{path}: expected a private key in PEM (PKCS#8, PKCS#1 or SEC1; ECDSA, RSA or Ed25519)"
    )]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// The key does not belong to the certificate: a partial update, or a mistake.
    #[error("{path}: {KEY} is not the key of {CERTIFICATE}")]
    Mismatch {
        /// The directory.
        path: PathBuf,
    },
    /// The certificate is not valid now, so callers would reject it.
    #[error("{path}: the certificate is valid from {from} until {to}; it is not valid now")]
    NotValid {
        /// The file.
        path: PathBuf,
        /// The beginning of its validity.
        from: String,
        /// The end of its validity.
        to: String,
    },
    /// The certificate lacks a name, so callers would reject it.
    #[error("{path}: the certificate is not for {name}, the name that the API server connects to")]
    Name {
        /// The file.
        path: PathBuf,
        /// The missing name.
        name: String,
    },
}

impl Directory {
    /// A directory, and the names that its certificate must have.
    pub fn new(path: impl Into<PathBuf>, names: Names) -> Self {
        Self {
            path: path.into(),
            names,
            read: None,
            taken: None,
            trouble: None,
        }
    }

    /// Reads the files; returns the certificate if it is complete and differs from the last one. An
    /// error is returned again until the files change.
    pub(crate) fn reload(&mut self, now: SystemTime) -> Result<Option<Leaf>, FilesError> {
        let files = self.read()?;
        if self.read.as_ref() == Some(&files) {
            // A certificate that was not valid yet may be valid now.
            let may_differ = matches!(self.trouble, Some(FilesError::NotValid { .. }));
            if !may_differ {
                return self.trouble.clone().map_or(Ok(None), Err);
            }
        }
        let leaf = self.leaf(&files, now);
        self.read = Some(files);
        match leaf {
            Ok(leaf) => {
                self.trouble = None;
                self.taken = Some(leaf.not_after());
                Ok(Some(leaf))
            }
            Err(error) => {
                self.trouble = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Reads all files from one version of the directory: the target of `..data` never changes, it
    /// is only replaced.
    fn read(&self) -> Result<Files, FilesError> {
        let data = self.path.join("..data");
        let dir = data.canonicalize().unwrap_or_else(|_| self.path.clone());
        let read = |name: &str| {
            std::fs::read(dir.join(name)).map_err(|error| FilesError::Read {
                path: self.path.join(name),
                cause: error.to_string(),
            })
        };
        let ca = match std::fs::read(dir.join(CA)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            _ => read(CA),
        };
        Ok(Files {
            certificate: read(CERTIFICATE)?,
            key: read(KEY)?,
            ca: ca?,
        })
    }

    fn leaf(&self, files: &Files, now: SystemTime) -> Result<Leaf, FilesError> {
        let path = self.path.join(CERTIFICATE);
        let wrong = |cause: BundleError| FilesError::Certificate {
            path: path.clone(),
            cause: cause.to_string(),
        };
        let chain = read_certificates(&files.certificate).map_err(wrong)?;
        let first = chain.first().ok_or_else(|| wrong(BundleError::Empty))?;
        for name in server_names(&self.names) {
            let parsed = ParsedCertificate::try_from(first);
            let parsed = parsed.map_err(|error| FilesError::Certificate {
                path: path.clone(),
                cause: error.to_string(),
            })?;
            verify_server_name(&parsed, &name).map_err(|_| FilesError::Name {
                path: path.clone(),
                name: name.to_str().into_owned(),
            })?;
        }
        let key = PrivateKeyDer::from_pem_slice(&files.key);
        let key = key.map_err(|_| self.no_key())?;
        // Without a file with the CA, the last certificate of the chain counts as the signer.
        let last = chain.last().cloned();
        let ca = read_certificates(&files.ca).unwrap_or_default();
        let signer = ca.into_iter().next().or(last);
        let signer = signer.ok_or_else(|| wrong(BundleError::Empty))?;
        let certified = CertifiedKey::from_der(chain, key, &ring::default_provider());
        let certified = certified.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => FilesError::Mismatch {
                path: self.path.clone(),
            },
            _ => self.no_key(),
        })?;
        let leaf = Leaf::of_others(certified, signer).map_err(wrong)?;
        self.is_better(&leaf, &path, now)?;
        Ok(leaf)
    }

    /// Rejects a certificate that is not valid, unless no valid one is being served: then callers
    /// at least report why they reject it.
    fn is_better(&self, leaf: &Leaf, path: &Path, now: SystemTime) -> Result<(), FilesError> {
        if leaf.is_valid(now) || self.taken.is_none_or(|ends| ends <= now) {
            return Ok(());
        }
        Err(FilesError::NotValid {
            path: path.to_owned(),
            from: crate::serving::day(leaf.not_before()),
            to: crate::serving::day(leaf.not_after()),
        })
    }

    fn no_key(&self) -> FilesError {
        let path = self.path.join(KEY);
        FilesError::Key { path }
    }
}

#[cfg(test)]
mod tests;
