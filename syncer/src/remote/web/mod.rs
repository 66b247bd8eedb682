//! The HTTP(S) client of the webhook, the askpass address, GitHub's API and the poller.
//!
//! - A client is created by the first request that needs it: a process without requests has no
//!   cost.
//! - The trusted CAs are read from files at that moment; none is built in. A changed file creates a
//!   new client, so a rotated CA needs no restart.
//! - Proxies are the environment's, as in git. [`RedirectPolicy::Call`] and [`RedirectPolicy::Ask`]
//!   never use one for the local machine: git-sync does not either, and webhooks often go to a
//!   neighbouring container.
//! - Each request sets its own timeout (`RequestBuilder::timeout`); the connect timeout is set
//!   here.

mod certificate;
pub(crate) mod dns;
pub(crate) mod error;
mod proxy;
mod trust;
mod verifier;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::Client;
use reqwest::RequestBuilder;
use reqwest::Response;
use reqwest::Url;
use reqwest::redirect;
use rustls::ClientConfig;
use url::Host;

use crate::remote::web::error::WebError;
use crate::system::lock::lock;

pub(crate) use crate::remote::web::proxy::Proxies;
pub(crate) use crate::remote::web::proxy::with_port;
pub(crate) use crate::remote::web::trust::Trust;
pub(crate) use crate::remote::web::trust::environment_ca;
pub(crate) use crate::remote::web::trust::git_ca;
pub(crate) use crate::remote::web::trust::system_ca;
pub(crate) use crate::remote::web::trust::tls;

/// The connect timeout, whatever the timeout of the request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The number of idle connections that are kept per host.
const KEPT_PER_HOST: usize = 4;

/// The number of clients that are kept; only a rotated CA or many different ones create more.
const KEPT_CLIENTS: usize = 8;

/// The limit in bytes for a response that is read as text.
const LARGEST_TEXT: usize = 64 << 10;

// The process has one environment.
static PROXIES: OnceLock<Proxies> = OnceLock::new();

// The process has one set of connections, shared by all repositories.
static CLIENTS: Mutex<Vec<(Key, Client)>> = Mutex::new(Vec::new());

/// The redirect and proxy rules of a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RedirectPolicy {
    /// Follows redirects: a webhook's receiver, GitHub's API.
    Call,
    /// Follows none: a password must come from the configured address.
    Ask,
    /// Follows none, since the caller implements git's own rule; uses a proxy wherever git does.
    Poll,
}

/// Sets the proxies of the process's environment; until then a client reads the environment itself.
pub(crate) fn set_proxies(proxies: Proxies) {
    // The environment never changes.
    let _ = PROXIES.set(proxies);
}

/// Sends a request and waits for the head of the response.
pub(crate) async fn send(
    trust: &Trust,
    manner: RedirectPolicy,
    url: &Url,
    request: impl FnOnce(&Client) -> RequestBuilder,
) -> Result<Response, WebError> {
    let sent = request(&client(trust, manner, url)?).send().await;
    sent.map_err(|error| WebError::Call(error.without_url()))
}

/// The client for a request to this address; it is reused while the trusted CAs do not change.
fn client(trust: &Trust, manner: RedirectPolicy, url: &Url) -> Result<Client, WebError> {
    let key = Key {
        tls: tls(trust)?,
        manner,
        is_direct: is_direct(manner, url, PROXIES.get()),
    };
    let mut clients = lock(&CLIENTS);
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

/// Reads the text of a response; a longer one than expected is an error.
pub(crate) async fn text(mut response: Response) -> Result<String, WebError> {
    let mut bytes = Vec::new();
    let failed = |error: reqwest::Error| WebError::Call(error.without_url());
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        bytes.extend(chunk);
        if bytes.len() > LARGEST_TEXT {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The part of an address that is never secret: its scheme, host and port.
pub(crate) fn host(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}"));
    format!(
        "{}://{}{}",
        url.scheme(),
        url.host_str().unwrap_or_default(),
        port.unwrap_or_default(),
    )
}

/// An address that may be shown: without user, password, query and fragment.
pub(crate) fn place(url: &Url) -> String {
    host(url) + url.path()
}

/// The properties that distinguish clients.
struct Key {
    tls: Arc<ClientConfig>,
    manner: RedirectPolicy,
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
        RedirectPolicy::Call => redirect::Policy::default(),
        RedirectPolicy::Ask | RedirectPolicy::Poll => redirect::Policy::none(),
    };
    let mut client = Client::builder()
        // A clone shares the CAs, which are the large part.
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

/// Whether a request goes to its address without a proxy: by the rules of git and the poller, and
/// always for `Call` and `Ask` to the local machine.
fn is_direct(manner: RedirectPolicy, url: &Url, proxies: Option<&Proxies>) -> bool {
    manner != RedirectPolicy::Poll && is_this_machine(url)
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
    fn requests_bypass_the_proxy_where_git_does() {
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
            for manner in [
                RedirectPolicy::Call,
                RedirectPolicy::Ask,
                RedirectPolicy::Poll,
            ] {
                assert_eq!(is_direct(manner, &url, Some(&proxies)), expected, "{list}");
            }
        }
        assert!(is_direct(RedirectPolicy::Call, &here, Some(&proxies("b"))));
        assert!(!is_direct(RedirectPolicy::Poll, &here, Some(&proxies("b"))));
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
