//! HTTP(S) as a client: the webhook, the askpass address, GitHub's API and the poller call by it.
//!
//! - A client is made when the first call wants it: a process that never calls pays nothing.
//! - Trust is files, read at that moment; no authority is built in. A changed file makes a new
//!   client, so a rotated authority needs no restart.
//! - Proxies are the environment's, as git has them. [`Manner::Call`] and [`Manner::Ask`] never use
//!   one for this very machine: git-sync does not either, and webhooks often go to a neighbour.
//! - Each call sets its own time limit (`RequestBuilder::timeout`); reaching the server is limited
//!   here.

mod certificate;
mod dns;
mod proxy;
mod trust;
mod verifier;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::time::Duration;

use reqwest::Client;
use reqwest::Response;
use reqwest::Url;
use reqwest::redirect;
use rustls::ClientConfig;
use url::Host;

pub(crate) use crate::web::dns::connect;
pub(crate) use crate::web::proxy::Proxies;
pub(crate) use crate::web::proxy::with_port;
pub(crate) use crate::web::trust::Trust;
pub(crate) use crate::web::trust::environment_ca;
pub(crate) use crate::web::trust::git_ca;
pub(crate) use crate::web::trust::system_ca;
pub(crate) use crate::web::trust::tls;

/// How long it may take to reach a server, whatever the call itself may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections to one host that are kept for the next call.
const KEPT_PER_HOST: usize = 4;

/// Clients that are kept; only a rotated authority or many different ones make more.
const KEPT_CLIENTS: usize = 8;

/// How much of an answer is read as text, in bytes.
const LARGEST_TEXT: usize = 64 << 10;

// The process has one environment.
static PROXIES: OnceLock<Proxies> = OnceLock::new();

// The process has one set of connections, whichever repository calls.
static CLIENTS: Mutex<Vec<(Key, Client)>> = Mutex::new(Vec::new());

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

/// Takes the proxies of the process's environment; before it, a client reads the environment itself.
pub(crate) fn set_proxies(proxies: Proxies) {
    // The environment is the same each time.
    let _ = PROXIES.set(proxies);
}

/// The client for a call to this address; the same one each time while what it trusts stays the
/// same.
pub(crate) fn client(trust: &Trust, manner: Manner, url: &Url) -> Result<Client, WebError> {
    let key = Key {
        tls: tls(trust)?,
        manner,
        is_direct: is_direct(manner, url, PROXIES.get()),
    };
    let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, client)) = clients.iter().find(|(known, _)| known.is_same(&key)) {
        return Ok(client.clone());
    }
    let client = build(&key)?;
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

/// The part of an address that is never a secret: its scheme, host and port.
pub(crate) fn host(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}"));
    format!(
        "{}://{}{}",
        url.scheme(),
        url.host_str().unwrap_or_default(),
        port.unwrap_or_default(),
    )
}

/// An address as it may be shown: without user, password, query and fragment.
pub(crate) fn place(url: &Url) -> String {
    host(url) + url.path()
}

/// What makes one client differ from another.
struct Key {
    tls: Arc<ClientConfig>,
    manner: Manner,
    is_direct: bool,
}

impl Key {
    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.tls, &other.tls)
            && self.manner == other.manner
            && self.is_direct == other.is_direct
    }
}

fn build(key: &Key) -> Result<Client, WebError> {
    let redirects = match key.manner {
        Manner::Call => redirect::Policy::default(),
        Manner::Ask | Manner::Poll => redirect::Policy::none(),
    };
    let mut client = Client::builder()
        // A clone shares the authorities, which are the large part.
        .tls_backend_preconfigured(ClientConfig::clone(&key.tls))
        .user_agent(concat!("gitvolume-syncer/", env!("CARGO_PKG_VERSION")))
        .redirect(redirects)
        .dns_resolver(dns::Resolver)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(KEPT_PER_HOST);
    if key.is_direct {
        client = client.no_proxy();
    }
    client.build().map_err(WebError::Client)
}

/// Tells whether a call goes to its address without a proxy: by the rule by which git and the poller
/// do, and our own calls to this machine always.
fn is_direct(manner: Manner, url: &Url, proxies: Option<&Proxies>) -> bool {
    manner != Manner::Poll && is_this_machine(url)
        || proxies.is_some_and(|proxies| proxies.intercept(url).is_none())
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
    use crate::config::Environment;

    #[test]
    fn our_own_calls_go_direct_where_git_does() {
        let proxies = |list: &str| {
            let vars = [("all_proxy", "http://proxy.example:1"), ("no_proxy", list)];
            let gits = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
            Proxies::of(&Environment {
                gits: gits.to_vec(),
                ..Environment::default()
            })
        };
        let url = Url::parse("https://api.example/").unwrap();
        let here = Url::parse("http://localhost:1/").unwrap();
        for (list, expected) in [("*", true), ("a api.example", true), ("b", false)] {
            let proxies = proxies(list);
            for manner in [Manner::Call, Manner::Ask, Manner::Poll] {
                assert_eq!(is_direct(manner, &url, Some(&proxies)), expected, "{list}");
            }
        }
        assert!(is_direct(Manner::Call, &here, Some(&proxies("b"))));
        assert!(!is_direct(Manner::Poll, &here, Some(&proxies("b"))));
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
