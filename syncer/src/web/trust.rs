//! Which authorities are trusted, and TLS with them.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use args::CaBundle;
use ring::digest;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::client::Resumption;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::config::RepoConfig;
use crate::files::Stamp;
use crate::web::WebError;

/// Servers whose TLS sessions are remembered; we come back to few.
const SESSIONS: usize = 8;

/// System-wide certificate bundles: Debian's, Red Hat's, and Alpine's name.
const SYSTEM_CA: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

// The authorities of a whole system are some 200 kB: many repositories share them.
static KNOWN: Mutex<Vec<Known>> = Mutex::new(Vec::new());

/// What some files gave, and when.
struct Known {
    trust: Trust,
    stamps: Vec<Option<Stamp>>,
    digest: Vec<u8>,
    tls: Arc<ClientConfig>,
}

/// Whose authorities are trusted, all of them together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Trust {
    /// In PEM.
    files: Vec<PathBuf>,
    /// Those of the configuration.
    bundle: Option<CaBundle>,
}

impl Trust {
    /// For our own calls: what the system trusts (`SSL_CERT_FILE`, or its bundle), what git is told
    /// to trust besides, the configuration's authorities, and the Secret's.
    pub(crate) fn of_calls(config: &RepoConfig) -> Self {
        let environment = &config.environment;
        let base = environment.ssl_cert_file.clone().or_else(system_ca);
        let secret = config.secret_dir.as_ref();
        let secret = secret
            .map(|dir| dir.join(args::secret::CA))
            .filter(|path| path.is_file());
        let gits = git_ca(config);
        Self {
            files: base.into_iter().chain(gits).chain(secret).collect(),
            bundle: config.access.ca_bundle.clone(),
        }
    }

    /// For what must be trusted exactly as git does: its CA file, or without one the system's.
    pub(crate) fn of_git(ca: Option<&Path>) -> Self {
        let ca = ca.map(Path::to_owned).or_else(system_ca);
        Self {
            files: ca.into_iter().collect(),
            bundle: None,
        }
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        self.files.iter().map(|path| Stamp::of(path)).collect()
    }

    fn read(&self) -> Result<Vec<u8>, WebError> {
        let bundle = self.bundle.as_ref().map(CaBundle::as_str);
        let mut pem = bundle.unwrap_or_default().as_bytes().to_vec();
        for path in &self.files {
            let read = fs::read(path).map_err(|source| WebError::Read {
                path: path.clone(),
                source,
            })?;
            pem.extend(read);
            pem.push(b'\n');
        }
        Ok(pem)
    }
}

/// The CA file that the user tells git to use; the environment counts more than the configuration.
pub(crate) fn git_ca(config: &RepoConfig) -> Option<PathBuf> {
    let mut pairs = config.git_config.iter().rev();
    let configured = pairs.find(|(key, _)| key.eq_ignore_ascii_case("http.sslCAInfo"));
    let configured = configured.map(|(_, path)| PathBuf::from(path));
    config.environment.git_ssl_ca_info.clone().or(configured)
}

/// The system's bundle, if it has one.
pub(crate) fn system_ca() -> Option<PathBuf> {
    let mut paths = SYSTEM_CA.map(Path::new).into_iter();
    paths.find(|path| path.is_file()).map(Path::to_owned)
}

/// TLS with these authorities; the same value each time while their content stays the same, whatever
/// the files are called.
pub(crate) fn tls(trust: &Trust) -> Result<Arc<ClientConfig>, WebError> {
    let stamps = trust.stamps();
    let mut all = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = all.iter().position(|known| known.trust == *trust);
    if let Some(known) = known.map(|at| &all[at])
        && known.stamps == stamps
    {
        return Ok(known.tls.clone());
    }
    let pem = trust.read()?;
    let digest = digest::digest(&digest::SHA256, &pem).as_ref().to_vec();
    let tls = match all.iter().find(|known| known.digest == digest) {
        Some(same) => same.tls.clone(),
        None => Arc::new(config(&pem)?),
    };
    if let Some(at) = known {
        all.swap_remove(at);
    }
    all.push(Known {
        trust: trust.clone(),
        stamps,
        digest,
        tls: tls.clone(),
    });
    Ok(tls)
}

fn config(pem: &[u8]) -> Result<ClientConfig, WebError> {
    let mut roots = RootCertStore::empty();
    // A bundle may hold one certificate that cannot be read; that is no reason to trust none.
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).flatten());
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(WebError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // We speak no other version.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_trusted_is_read_once_and_again_when_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let [ca, other] = ["ca.crt", "other.crt"].map(|name| {
            let path = dir.path().join(name);
            fs::write(&path, "same").unwrap();
            Trust::of_git(Some(&path))
        });
        let first = tls(&ca).unwrap();
        assert!(Arc::ptr_eq(&first, &tls(&ca).unwrap()));
        assert!(Arc::ptr_eq(&first, &tls(&other).unwrap()));
        fs::write(&ca.files[0], "changed").unwrap();
        assert!(!Arc::ptr_eq(&first, &tls(&ca).unwrap()));
        assert!(Arc::ptr_eq(&first, &tls(&other).unwrap()));
    }

    #[test]
    fn a_missing_authority_is_named() {
        let trust = Trust::of_git(Some(Path::new("/nonexistent/ca.crt")));
        let error = tls(&trust).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read the trusted certificates in /nonexistent/ca.crt"
        );
    }
}
