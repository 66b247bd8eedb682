//! What the flags mean.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use args::CacheArgs;
use ipnet::IpNet;

use crate::access::wake_key::WakeKey;
use crate::access::wake_key::WakeKeyError;
use crate::address::allowed_hosts::AllowedHost;
use crate::address::networks::Networks;
use crate::cas::CasError;
use crate::cas::ReplicaCas;
use crate::peers::config::PeersConfig;

/// An invalid flag, or a file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A malformed entry of the list of hosts.
    #[error(
        "--allowed-hosts: {0:?}: expected HOST, HOST:PORT, *.DOMAIN, or one of them after http://"
    )]
    Host(String),
    /// A malformed network.
    #[error("{flag}: {value:?}: expected a network such as 10.0.0.0/8 or fd00::/8")]
    Network {
        /// The flag.
        flag: &'static str,
        /// The value.
        value: String,
    },
    /// A malformed size.
    #[error("--disk-limit: {0:?}: expected a number of bytes, or a number with Ki, Mi or Gi")]
    Size(String),
    /// A period that is too short.
    #[error("--period: {0:?}: expected at least 1s")]
    Period(Duration),
    /// A limit that is out of range.
    #[error("{flag}: {value}: expected a number from 1 to 1048576")]
    Limit {
        /// The flag.
        flag: &'static str,
        /// The value.
        value: usize,
    },
    /// The name of the replicas' certificates.
    #[error("--peers, --peers-name: expected a host name or an IP address")]
    Peers,
    /// The file with the key of wake-ups.
    #[error(transparent)]
    WakeKey(#[from] WakeKeyError),
    /// The file with the CAs of the replicas.
    #[error(transparent)]
    Cas(#[from] CasError),
}

/// The configuration.
pub struct Config {
    pub(crate) args: CacheArgs,
    pub(crate) allowed_hosts: Vec<AllowedHost>,
    pub(crate) networks: Networks,
    pub(crate) disk_limit: u64,
    pub(crate) wake_key: Option<WakeKey>,
    pub(crate) peers: Option<PeersConfig>,
    pub(crate) cas: Option<Arc<ReplicaCas>>,
}

impl Config {
    /// Checks flags, and reads the key of wake-ups and the CAs of the replicas.
    pub fn new(args: CacheArgs) -> Result<Self, ConfigError> {
        let hosts = args.allowed_hosts.iter();
        let hosts = hosts.map(|text| text.parse().map_err(|_| ConfigError::Host(text.clone())));
        let disk_limit = size(&args.disk_limit);
        let disk_limit = disk_limit.ok_or_else(|| ConfigError::Size(args.disk_limit.clone()))?;
        if args.period.get() < Duration::from_secs(1) {
            return Err(ConfigError::Period(args.period.get()));
        }
        for (flag, value) in [
            ("--max-connections", args.max_connections),
            ("--max-transfers", args.max_transfers),
        ] {
            if !(1..=1 << 20).contains(&value) {
                return Err(ConfigError::Limit { flag, value });
            }
        }
        let wake_key = args.wake_key_file.as_deref().map(WakeKey::read);
        let cas = args.tls_ca.as_deref().map(ReplicaCas::read).transpose();
        let cas = cas?.map(Arc::new);
        let peers = args.peers.as_ref().zip(cas.clone());
        let peers = peers.map(|(url, cas)| {
            let listen: Option<SocketAddr> = args.listen.parse().ok();
            let listen = listen.map(|address| address.ip());
            let listen = listen.filter(|ip| !ip.is_unspecified());
            let config = PeersConfig::new(url, args.peers_name.clone(), cas, listen);
            config.ok_or(ConfigError::Peers)
        });
        Ok(Self {
            peers: peers.transpose()?,
            cas,
            allowed_hosts: hosts.collect::<Result<_, _>>()?,
            networks: Networks {
                allowed: networks("--allowed-networks", &args.allowed_networks)?,
                denied: networks("--denied-networks", &args.denied_networks)?,
            },
            disk_limit,
            wake_key: wake_key.transpose()?,
            args,
        })
    }
}

fn networks(flag: &'static str, texts: &[String]) -> Result<Vec<IpNet>, ConfigError> {
    let parse = |text: &String| {
        text.parse().map_err(|_| ConfigError::Network {
            flag,
            value: text.clone(),
        })
    };
    texts.iter().map(parse).collect()
}

fn size(text: &str) -> Option<u64> {
    let units = [("Ki", 10), ("Mi", 20), ("Gi", 30)];
    let found = units
        .iter()
        .find_map(|(unit, bits)| Some((text.strip_suffix(unit)?, bits)));
    let (number, bits) = found.unwrap_or((text, &0));
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|_| is_plain)?;
    number.checked_mul(1 << bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_with_an_optional_unit() {
        for (text, expected) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("4Ki", Some(4096)),
            ("10Gi", Some(10 << 30)),
            ("", None),
            ("Gi", None),
            ("1.5Gi", None),
            ("+1", None),
            ("-1", None),
            ("10G", None),
            ("99999999999Gi", None),
        ] {
            assert_eq!(size(text), expected, "{text}");
        }
    }
}
