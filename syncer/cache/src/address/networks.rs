//! The networks that the cache connects to. Names are checked by their addresses at each connection,
//! since the owner of a name chooses its addresses.

use std::net::IpAddr;

use ipnet::IpNet;

/// Networks that no public git host is in, and that lead to the machine itself, to its link, or to
/// the metadata service of a cloud. Private networks are not among them: a git host may be there.
const SPECIAL: [&str; 14] = [
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    // The metadata service of Alibaba Cloud.
    "100.100.100.200/32",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    // IPv4 addresses in IPv6: a way around the list.
    "::/96",
    "64:ff9b::/32",
    "2002::/16",
    // The metadata service of AWS.
    "fd00:ec2::/32",
    "fe80::/10",
    "ff00::/8",
];

/// The operator's networks. A denied network takes precedence over an allowed one, and an allowed
/// one over the special ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Networks {
    pub(crate) allowed: Vec<IpNet>,
    pub(crate) denied: Vec<IpNet>,
}

impl Networks {
    /// Whether the cache may connect to an address.
    pub(crate) fn allow(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let is_in = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&ip));
        let is_special = || {
            let mut special = SPECIAL.iter().filter_map(|text| text.parse::<IpNet>().ok());
            special.any(|network| network.contains(&ip))
        };
        !is_in(&self.denied) && (is_in(&self.allowed) || !is_special())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(allowed: &[&str], denied: &[&str]) -> Networks {
        let parse = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        Networks {
            allowed: parse(allowed),
            denied: parse(denied),
        }
    }

    #[test]
    fn special_addresses_are_refused_in_every_notation() {
        let networks = networks(&[], &["10.96.0.0/12"]);
        for text in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "10.96.0.1",
            "::ffff:10.96.0.1",
        ] {
            assert!(!networks.allow(text.parse().unwrap()), "{text}");
        }
        for text in [
            "192.0.2.1",
            "10.0.0.1",
            "192.168.1.1",
            "fd12::1",
            "2001:db8::1",
        ] {
            assert!(networks.allow(text.parse().unwrap()), "{text}");
        }
        for text in SPECIAL {
            assert!(text.parse::<IpNet>().is_ok(), "{text}");
        }
    }

    #[test]
    fn the_operators_networks_take_precedence() {
        let networks = networks(&["127.0.0.0/8", "10.0.0.0/8"], &["127.0.0.2/32"]);
        for (text, expected) in [
            ("127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("127.0.0.2", false),
            ("::1", false),
        ] {
            assert_eq!(networks.allow(text.parse().unwrap()), expected, "{text}");
        }
    }
}
