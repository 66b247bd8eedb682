use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use url::Url;

use crate::GitDuration;
use crate::RepoUrl;
use crate::is_label;
use crate::wake;

/// The longest name of a push secret, in characters.
const LONGEST_NAME: usize = 63;

/// Flags of `push`, the receiver of push webhooks.
#[derive(Args, Clone, Debug)]
pub struct PushArgs {
    /// Listen address: :8080 is every address of this machine
    #[arg(long, value_name = "ADDRESS", default_value = ":8080", value_parser = listen_address)]
    pub listen: SocketAddr,
    /// Directory with one file per NAME: the webhook secret, and a second one during a rotation
    ///
    /// Each value has a line of its own. The receiver reads a changed file within a second.
    #[arg(long, value_name = "DIR")]
    pub secret_dir: PathBuf,
    /// Repositories that deliveries to /push/NAME may wake: this address and all below it; repeatable
    ///
    /// NAME is the name of a file in --secret-dir. The address is the one that the syncers use.
    #[arg(long, value_name = "NAME=URL", required = true)]
    pub wake: Vec<WakeRule>,
    /// The cache: https://HOST:PORT, where HOST resolves to the addresses of all replicas
    #[arg(long, value_name = "URL", value_parser = replicas_address)]
    pub cache: Url,
    /// CA certificates that sign the cache's certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub cache_ca_file: PathBuf,
    /// The file of the cache's --wake-key-file
    #[arg(long, value_name = "FILE")]
    pub wake_key_file: PathBuf,
    /// Serve TLS with this certificate and its chain, PEM; without it the receiver serves plain HTTP
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The key of --tls-cert, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// How long the receiver keeps serving after SIGTERM, until no load balancer sends to it
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    pub drain: GitDuration,
    /// Log level: 0 logs errors, 1 each delivery
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    pub verbose: u8,
}

/// A value of `--wake`: the name of a secret, and an address below which its holder may wake
/// repositories.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WakeRule {
    /// The name, a DNS label.
    pub name: String,
    /// The address, as [`wake::address`] writes it.
    pub prefix: Url,
}

/// Error of parsing a [`WakeRule`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "expected NAME=URL, such as team-a=https://git.example/team-a; NAME has lower-case letters, digits and inner hyphens"
)]
pub struct ParseWakeRuleError;

impl FromStr for WakeRule {
    type Err = ParseWakeRuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, prefix) = text.split_once('=').ok_or(ParseWakeRuleError)?;
        let prefix: RepoUrl = prefix.parse().map_err(|_| ParseWakeRuleError)?;
        let prefix = wake::address(&prefix).ok_or(ParseWakeRuleError)?;
        if !is_label(name) || name.len() > LONGEST_NAME {
            return Err(ParseWakeRuleError);
        }
        let name = name.to_owned();
        Ok(Self { name, prefix })
    }
}

/// Parses `:8080`, which is every address, or an IP address with a port.
fn listen_address(text: &str) -> Result<SocketAddr, &'static str> {
    let parsed = match text.strip_prefix(':') {
        Some(port) => port
            .parse()
            .ok()
            .map(|port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))),
        None => text.parse().ok(),
    };
    parsed.ok_or("expected an address such as :8080, 127.0.0.1:8080 or [::1]:8080")
}

/// Parses `https://HOST` with a port and without anything else: keys and credentials must not be sent in
/// the clear, and the path is the sender's.
pub(super) fn replicas_address(text: &str) -> Result<Url, &'static str> {
    let is_plain = |url: &Url| {
        url.scheme() == "https"
            && url.path() == "/"
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    let url = Url::parse(text).ok().filter(is_plain);
    url.ok_or("expected an address such as https://gitvolume-cache-replicas.gitvolume-system:8443")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_has_a_name_and_the_address_of_a_repository_or_of_a_group() {
        for (text, name, prefix) in [
            ("a=https://git.example/a", "a", "https://git.example/a"),
            ("a-1=git@git.example:a", "a-1", "ssh://git.example/a"),
            ("a=https://git.example/?x=y", "a", "https://git.example/"),
        ] {
            let rule: WakeRule = text.parse().expect(text);
            assert_eq!((rule.name.as_str(), rule.prefix.as_str()), (name, prefix));
        }
        for text in [
            "",
            "a",
            "a=",
            "=https://git.example",
            "..=https://git.example",
            "A=https://git.example",
            "a=/srv/x",
        ] {
            assert_eq!(text.parse::<WakeRule>(), Err(ParseWakeRuleError), "{text}");
        }
    }

    #[test]
    fn the_key_is_sent_to_the_cache_over_tls_alone() {
        assert!(replicas_address("https://cache.example:8443").is_ok());
        for text in [
            "http://cache.example",
            "https://cache.example/x",
            "https://me@cache.example",
            "cache.example",
        ] {
            assert!(replicas_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_listen_address_has_a_port() {
        assert_eq!(
            listen_address(":8080"),
            Ok("[::]:8080".parse().expect("an address"))
        );
        assert!(listen_address("127.0.0.1:8080").is_ok());
        assert!(listen_address("8080").is_err() && listen_address("localhost").is_err());
    }
}
