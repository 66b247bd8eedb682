//! HTTP(S) as a client: the webhook, the askpass address, GitHub's API and the poller call by it.
//!
//! - A client is made when the first call wants it: a process that never calls pays nothing.
//! - Trust is files, read at that moment; no authority is built in. A changed file makes a new
//!   client, so a rotated authority needs no restart.
//! - Proxies are the environment's, as git has them. [`Manner::Call`] and [`Manner::Ask`] never use
//!   one for this very machine: git-sync does not either, and webhooks often go to a neighbour.
//! - Each call sets its own time limit (`RequestBuilder::timeout`); reaching the server is limited
//!   here.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use reqwest::Client;
use reqwest::Response;
use reqwest::Url;
use reqwest::redirect;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use url::Host;

use crate::config::RepoConfig;
use crate::files::Stamp;

/// How long it may take to reach a server, whatever the call itself may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections to one host that are kept for the next call.
const KEPT_PER_HOST: usize = 4;

/// Clients that are kept; only a rotated authority or many different ones make more.
const KEPT_CLIENTS: usize = 8;

/// How much of an answer is read as text, in bytes.
const LARGEST_TEXT: usize = 64 << 10;

/// System-wide certificate bundles: Debian's, Red Hat's, and Alpine's name.
const SYSTEM_CA: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

// The process has one set of connections, whichever repository calls.
static CLIENTS: Mutex<Vec<(Key, Client)>> = Mutex::new(Vec::new());
static CONFIGS: Mutex<Vec<(Trust, Vec<Option<Stamp>>, Arc<ClientConfig>)>> = Mutex::new(Vec::new());

/// Why no call can be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebError {
    #[error("cannot read the trusted certificates in {}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    #[error("cannot set up HTTP")]
    Client(#[source] reqwest::Error),
}

/// How a client behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Manner {
    /// Follows redirects: a webhook's receiver, GitHub's API.
    Call,
    /// Does not: who asks for a password wants it from this address and no other.
    Ask,
    /// Does not, since git's own rule for redirects is the caller's; uses a proxy wherever git does.
    Poll,
}

/// The PEM files whose authorities are trusted, all of them together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Trust(Vec<PathBuf>);

impl Trust {
    /// For our own calls: what the system trusts (`SSL_CERT_FILE`, or its bundle), what git is told
    /// to trust besides, and the Secret's authority.
    pub(crate) fn of_calls(config: &RepoConfig) -> Self {
        let environment = &config.environment;
        let base = environment.ssl_cert_file.clone().or_else(system_ca);
        let secret = config.secret_dir.as_ref();
        let secret = secret
            .map(|dir| dir.join(args::secret::CA))
            .filter(|path| path.is_file());
        let gits = git_ca(config);
        Self(base.into_iter().chain(gits).chain(secret).collect())
    }

    /// For what must be trusted exactly as git does: its CA file, or without one the system's.
    pub(crate) fn of_git(ca: Option<&Path>) -> Self {
        let ca = ca.map(Path::to_owned).or_else(system_ca);
        Self(ca.into_iter().collect())
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        self.0.iter().map(|path| Stamp::of(path)).collect()
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

/// The client for a call to this address; the same one each time while what it trusts stays the
/// same.
pub(crate) fn client(trust: &Trust, manner: Manner, url: &Url) -> Result<Client, WebError> {
    let key = Key {
        trust: trust.clone(),
        stamps: trust.stamps(),
        manner,
        is_direct: manner != Manner::Poll && is_this_machine(url),
    };
    let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, client)) = clients.iter().find(|(known, _)| *known == key) {
        return Ok(client.clone());
    }
    let client = build(&key)?;
    clients.retain(|(known, _)| !known.is_replaced_by(&key));
    if clients.len() == KEPT_CLIENTS {
        clients.remove(0);
    }
    clients.push((key, client.clone()));
    Ok(client)
}

/// Reads the text of an answer, up to a size that no honest answer of a few lines has.
pub(crate) async fn text(mut response: Response) -> Result<String, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        bytes.extend(chunk);
        if bytes.len() > LARGEST_TEXT {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// An address as it may be shown: without user, password, query and fragment.
pub(crate) fn place(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}"));
    format!(
        "{}://{}{}{}",
        url.scheme(),
        url.host_str().unwrap_or_default(),
        port.unwrap_or_default(),
        url.path()
    )
}

/// What makes one client differ from another.
#[derive(Eq, PartialEq)]
struct Key {
    trust: Trust,
    stamps: Vec<Option<Stamp>>,
    manner: Manner,
    is_direct: bool,
}

impl Key {
    /// Tells whether the other is this one with newer content of the same files.
    fn is_replaced_by(&self, other: &Self) -> bool {
        self.trust == other.trust
            && self.manner == other.manner
            && self.is_direct == other.is_direct
    }
}

/// TLS for connections of one's own; the same value each time while what is trusted stays the same.
pub(crate) fn tls(trust: &Trust) -> Result<Arc<ClientConfig>, WebError> {
    let stamps = trust.stamps();
    let mut configs = CONFIGS.lock().unwrap_or_else(PoisonError::into_inner);
    let known = configs
        .iter()
        .find(|(known, at, _)| known == trust && *at == stamps);
    if let Some((_, _, config)) = known {
        return Ok(config.clone());
    }
    let mut config = config(trust)?;
    // We speak no other version, and come back to few servers.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(KEPT_CLIENTS);
    let config = Arc::new(config);
    configs.retain(|(known, _, _)| known != trust);
    configs.push((trust.clone(), stamps, config.clone()));
    Ok(config)
}

fn config(trust: &Trust) -> Result<ClientConfig, WebError> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(WebError::Tls)?
        .with_root_certificates(roots(trust)?)
        .with_no_client_auth();
    Ok(config)
}

fn build(key: &Key) -> Result<Client, WebError> {
    let tls = config(&key.trust)?;
    let redirects = match key.manner {
        Manner::Call => redirect::Policy::default(),
        Manner::Ask | Manner::Poll => redirect::Policy::none(),
    };
    let mut client = Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("gitvolume-syncer/", env!("CARGO_PKG_VERSION")))
        .redirect(redirects)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(KEPT_PER_HOST);
    if key.is_direct {
        client = client.no_proxy();
    }
    client.build().map_err(WebError::Client)
}

fn roots(trust: &Trust) -> Result<RootCertStore, WebError> {
    let mut roots = RootCertStore::empty();
    for path in &trust.0 {
        let pem = fs::read(path).map_err(|source| WebError::Read {
            path: path.clone(),
            source,
        })?;
        // A bundle may hold one certificate that cannot be read; that is no reason to trust none.
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
    }
    Ok(roots)
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_made_once_and_again_when_an_authority_changes() {
        let dir = tempfile::tempdir().unwrap();
        let ca = dir.path().join("ca.crt");
        fs::write(&ca, "").unwrap();
        let trust = Trust::of_git(Some(&ca));
        let url = Url::parse("https://git.example/").unwrap();
        let made = || {
            client(&trust, Manner::Poll, &url).unwrap();
            let clients = CLIENTS.lock().unwrap();
            let mine = clients.iter().filter(|(key, _)| key.trust == trust);
            mine.map(|(key, _)| key.stamps.clone()).collect::<Vec<_>>()
        };
        let first = made();
        assert_eq!(first.len(), 1);
        assert_eq!(made(), first);
        fs::write(&ca, "\n").unwrap();
        let second = made();
        assert_eq!(second.len(), 1);
        assert_ne!(second, first);
    }

    #[test]
    fn a_missing_authority_is_named() {
        let trust = Trust::of_git(Some(Path::new("/nonexistent/ca.crt")));
        let url = Url::parse("https://git.example/").unwrap();
        let error = client(&trust, Manner::Ask, &url).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read the trusted certificates in /nonexistent/ca.crt"
        );
    }

    #[test]
    fn only_loopback_is_this_machine() {
        for (url, expected) in [
            ("http://localhost:9300/x", true),
            ("http://127.0.0.2/", true),
            ("http://[::1]:1/", true),
            ("http://localhost.example/", false),
            ("https://10.0.0.1/", false),
        ] {
            assert_eq!(
                is_this_machine(&Url::parse(url).unwrap()),
                expected,
                "{url}"
            );
        }
    }
}
