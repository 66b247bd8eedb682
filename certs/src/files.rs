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

/// A directory with a serving certificate that somebody else makes: a mounted Secret of type
/// `kubernetes.io/tls`.
///
/// Files are compared by content. The kubelet renames the symlink `..data` that all of them lead
/// through, which a watch of a file never sees (kubewarden/policy-server#1026,
/// kubernetes-sigs/windows-gmsa#178).
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    names: Names,
    /// What was read last, taken or not.
    read: Option<Files>,
    /// The end of the one that was taken.
    taken: Option<SystemTime>,
    trouble: Option<FilesError>,
}

/// Not printed: one of them is a key.
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

/// Why the files of a directory are not served.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// A file is not there or cannot be read.
    #[error("cannot read {path}: {cause}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        cause: String,
    },
    /// The certificate file holds something else.
    #[error("{path}: {cause}; expected a certificate in PEM, the chain after it")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The key file holds something else.
    #[error(
        "{path}: expected a private key in PEM (PKCS#8, PKCS#1 or SEC1; ECDSA, RSA or Ed25519)"
    )]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// Half of another pair, or a mistake.
    #[error("{path}: {KEY} is not the key of {CERTIFICATE}")]
    Mismatch {
        /// The directory.
        path: PathBuf,
    },
    /// Callers would refuse it by its dates.
    #[error("{path}: the certificate is valid from {from} until {to}, and not now")]
    NotValid {
        /// The file.
        path: PathBuf,
        /// Its beginning.
        from: String,
        /// Its end.
        to: String,
    },
    /// Callers would refuse it by its names.
    #[error("{path}: the certificate is not for {name}, by which the API server calls")]
    Name {
        /// The file.
        path: PathBuf,
        /// The name it lacks.
        name: String,
    },
}

impl Directory {
    /// A directory and the names that its certificate must be for.
    pub fn new(path: impl Into<PathBuf>, names: Names) -> Self {
        Self {
            path: path.into(),
            names,
            read: None,
            taken: None,
            trouble: None,
        }
    }

    /// Reads the files; answers the certificate if it is another one than before and whole. The
    /// same error is answered until the files change.
    pub(crate) fn look(&mut self, now: SystemTime) -> Result<Option<Leaf>, FilesError> {
        let files = self.read()?;
        if self.read.as_ref() == Some(&files) {
            // What was not valid yet may be now.
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

    /// All files of one moment: what `..data` leads to is never changed, only replaced.
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
        // What the chain ends with, where no file says who signed it.
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

    /// One that is not valid is served only where there is nothing better: then callers at least
    /// say why they refuse it.
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
