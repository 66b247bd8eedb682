//! The trusted CAs, and the TLS configuration with them.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;

use args::CaBundle;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;

use crate::config::Environment;
use crate::config::RepoConfig;
use crate::remote::web::certificate::first_element;
use crate::remote::web::error::WebError;
use crate::remote::web::verifier::Verifier;
use crate::system::files::Stamp;
use crate::system::lock::lock;

/// The number of servers whose TLS sessions are remembered.
const SESSIONS: usize = 8;

/// System-wide certificate bundles: Debian's, Red Hat's, and Alpine's name.
const SYSTEM_CA: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// The maximum size of a bundle in bytes; a larger file in a directory is ignored.
const LARGEST_CA: u64 = 4 << 20;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// OpenSSL's own PEM label: a certificate followed by its trust settings.
const TRUSTED: &str = "TRUSTED CERTIFICATE";

// The CAs of a system take about 200 kB: many repositories share them.
static KNOWN: Mutex<Vec<Known>> = Mutex::new(Vec::new());

/// The TLS configuration made from some files, with their stamps.
struct Known {
    trust: Trust,
    stamps: Vec<Option<Stamp>>,
    digest: Vec<u8>,
    tls: Arc<ClientConfig>,
}

/// The trusted CAs, from all sources together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Trust {
    /// Files in PEM format.
    files: Vec<PathBuf>,
    /// The CAs of the configuration.
    bundle: Option<CaBundle>,
}

impl Trust {
    /// The CAs for the syncer's own requests: the system's (`SSL_CERT_FILE`, or its bundle), git's
    /// additional ones, the configured ones, and the Secret's.
    pub(crate) fn of_calls(config: &RepoConfig) -> Self {
        let environment = &config.environment;
        let base = environment.ssl_cert_file.clone().or_else(system_ca);
        let secret = config.secret_dir.as_ref();
        let secret = secret.and_then(|dir| {
            let mut paths = args::secret::CAS.iter().map(|key| dir.join(key));
            paths.find(|path| path.is_file())
        });
        let gits = git_ca(config);
        Self {
            files: base.into_iter().chain(gits).chain(secret).collect(),
            bundle: config.access.ca_bundle.clone(),
        }
    }

    /// The CAs that git itself uses: its CA file, otherwise the system's.
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

/// The CA file that the user configured for git; the environment overrides the configuration.
pub(crate) fn git_ca(config: &RepoConfig) -> Option<PathBuf> {
    let mut pairs = config.git_config.iter().rev();
    let configured = pairs.find(|(key, _)| key.eq_ignore_ascii_case("http.sslCAInfo"));
    let configured = configured.map(|(_, path)| PathBuf::from(path));
    config.environment.git_ssl_ca_info.clone().or(configured)
}

/// The CAs that `SSL_CERT_FILE` and `SSL_CERT_DIR` add to the system's bundle, in PEM format. Only
/// some builds of curl read these variables, so the syncer adds the CAs to git's bundle.
pub(crate) fn environment_ca(environment: &Environment) -> Vec<u8> {
    let real = |path: &Path| path.canonicalize().ok();
    let system = system_ca().and_then(|path| real(&path));
    let mut paths: Vec<PathBuf> = environment.ssl_cert_file.iter().cloned().collect();
    for dir in &environment.ssl_cert_dirs {
        // The system's bundle is built from its own directory.
        let is_systems = system.as_ref().and_then(|path| path.parent()) == real(dir).as_deref();
        if !is_systems && let Ok(names) = fs::read_dir(dir) {
            paths.extend(names.flatten().map(|name| name.path()));
        }
    }
    let mut paths: Vec<PathBuf> = paths.iter().filter_map(|path| real(path)).collect();
    paths.sort();
    paths.dedup();
    let mut pem = Vec::new();
    for path in paths.iter().filter(|path| Some(*path) != system.as_ref()) {
        let is_small = fs::metadata(path)
            .is_ok_and(|metadata| metadata.is_file() && metadata.len() <= LARGEST_CA);
        // As in OpenSSL, an unreadable file is not trusted and is no error.
        if is_small && let Ok(read) = fs::read(path) {
            pem.extend(read);
            pem.push(b'\n');
        }
    }
    pem
}

/// The system's bundle, if it has one.
pub(crate) fn system_ca() -> Option<PathBuf> {
    let mut paths = SYSTEM_CA.map(Path::new).into_iter();
    paths.find(|path| path.is_file()).map(Path::to_owned)
}

/// The TLS configuration with these CAs; it is reused while their content does not change, whatever
/// the names of the files.
pub(crate) fn tls(trust: &Trust) -> Result<Arc<ClientConfig>, WebError> {
    let stamps = trust.stamps();
    let mut all = lock(&KNOWN);
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
    let provider = Arc::new(default_provider());
    let verifier = Verifier::new(certificates(pem).into_iter(), &provider);
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(WebError::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    // The client supports no other version.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(config)
}

/// The certificates of a bundle in every form that OpenSSL reads: with text in between, with the
/// older labels, and with OpenSSL's own trust settings after them. Certificates that cannot be
/// parsed are skipped.
fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    let text = String::from_utf8_lossy(pem);
    let mut found = Vec::new();
    let mut rest = text.as_ref();
    while let Some((label, base64, after)) = block(rest) {
        rest = after;
        let is_certificate = matches!(label, "CERTIFICATE" | "X509 CERTIFICATE" | TRUSTED);
        let base64: String = base64.chars().filter(|c| !c.is_whitespace()).collect();
        let Some(der) = is_certificate
            .then(|| STANDARD.decode(base64).ok())
            .flatten()
        else {
            continue;
        };
        if let Some(certificate) = first_element(&der) {
            found.push(CertificateDer::from(certificate.to_vec()));
        }
    }
    found
}

/// The label and the content of the first PEM block, and the rest of the text. A block that has no
/// end before the next one begins is skipped.
fn block(text: &str) -> Option<(&str, &str, &str)> {
    let mut rest = text;
    loop {
        let (_, begun) = rest.split_once(BEGIN)?;
        let (label, content) = begun.split_once(DASHES)?;
        let end = format!("{END}{label}{DASHES}");
        match content.find(&end) {
            Some(at) if !content[..at].contains(BEGIN) => {
                return Some((label, &content[..at], &content[at + end.len()..]));
            }
            _ => rest = begun,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusted_cas_are_read_once_and_again_when_they_change() {
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
    fn a_bundle_is_read_in_every_form_in_which_openssl_reads_it() {
        let der = [0x30, 3, 2, 1, 7];
        let encoded = |der: &[u8]| STANDARD.encode(der);
        // The trust settings follow the certificate.
        let marked = encoded(&[&der[..], &[0x30, 0]].concat());
        let own = encoded(&der);
        for text in [
            format!("-----BEGIN CERTIFICATE-----\n{own}\n-----END CERTIFICATE-----\n"),
            format!("# us\r\n-----BEGIN CERTIFICATE-----\r\n{own}\r\n-----END CERTIFICATE-----"),
            format!("-----BEGIN X509 CERTIFICATE-----\n{own}\n-----END X509 CERTIFICATE-----\n"),
            format!("-----BEGIN {TRUSTED}-----\n{marked}\n-----END {TRUSTED}-----\n"),
            format!(
                "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n\
                 -----BEGIN CERTIFICATE-----\ncut\n-----BEGIN PRIVATE KEY-----\n{own}\n\
                 -----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\n{own}\n\
                 -----END CERTIFICATE-----\n"
            ),
        ] {
            let found = certificates(text.as_bytes());
            assert_eq!(found, [CertificateDer::from(der.to_vec())], "{text}");
        }
        assert!(certificates(b"same").is_empty());
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
