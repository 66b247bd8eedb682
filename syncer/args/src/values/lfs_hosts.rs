use std::fmt;
use std::str::FromStr;

/// The hosts that Git LFS content may be downloaded from in addition to the repository's own.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LfsHosts(Vec<AllowedHost>);

/// One host, or all hosts below a domain.
#[derive(Clone, Debug, Eq, PartialEq)]
struct AllowedHost {
    /// In lower case, an IPv6 address with its brackets; it begins with `*.` for a domain.
    name: String,
    /// `None` means the default port of the scheme.
    port: Option<u16>,
}

/// Error of parsing [`LfsHosts`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "expected hosts separated by commas, such as media.example or *.cdn.example:8443, without scheme and path"
)]
pub struct ParseLfsHostsError;

impl LfsHosts {
    /// Whether a host is allowed at a port; `default` is the default port of the address's scheme.
    pub fn allows(&self, host: &str, port: u16, default: u16) -> bool {
        let host = host.to_ascii_lowercase();
        let is_host = |allowed: &AllowedHost| match allowed.name.strip_prefix('*') {
            // The dot is included, so that the match begins at a label.
            Some(domain) => host.len() > domain.len() && host.ends_with(domain),
            None => host == allowed.name,
        };
        let mut hosts = self.0.iter();
        hosts.any(|allowed| is_host(allowed) && allowed.port.unwrap_or(default) == port)
    }
}

impl FromStr for LfsHosts {
    type Err = ParseLfsHostsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hosts = text.split(',').map(str::trim);
        let hosts = hosts.filter(|host| !host.is_empty()).map(allowed_host);
        Ok(Self(
            hosts.collect::<Option<_>>().ok_or(ParseLfsHostsError)?,
        ))
    }
}

fn allowed_host(text: &str) -> Option<AllowedHost> {
    let text = text.to_ascii_lowercase();
    let end = text.find(']').map_or(0, |at| at + 1);
    let (name, port) = match text[end..].find(':') {
        Some(at) => (&text[..end + at], Some(text[end + at + 1..].parse().ok()?)),
        None => (text.as_str(), None),
    };
    let is_named = match name.strip_prefix('[') {
        Some(address) => address
            .strip_suffix(']')?
            .parse::<std::net::Ipv6Addr>()
            .is_ok(),
        None => {
            let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            let name = name.strip_prefix("*.").unwrap_or(name);
            let mut labels = name.split('.');
            labels.all(|label| !label.is_empty() && label.chars().all(is_letter))
        }
    };
    is_named.then(|| AllowedHost {
        name: name.to_owned(),
        port,
    })
}

impl fmt::Display for LfsHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, AllowedHost { name, port }) in self.0.iter().enumerate() {
            let separator = if at > 0 { "," } else { "" };
            write!(f, "{separator}{name}")?;
            if let Some(port) = port {
                write!(f, ":{port}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_allowed_by_name_domain_and_port() {
        let text = "Media.example, *.cdn.example:8443,[::1]:80,10.0.0.1";
        let hosts: LfsHosts = text.parse().unwrap();
        for (host, port, expected) in [
            ("media.example", 443, true),
            ("MEDIA.example", 443, true),
            ("media.example", 8443, false),
            ("a.media.example", 443, false),
            ("a.b.cdn.example", 8443, true),
            ("a.cdn.example", 443, false),
            ("cdn.example", 8443, false),
            ("evilcdn.example", 8443, false),
            ("[::1]", 80, true),
            ("10.0.0.1", 443, true),
        ] {
            assert_eq!(hosts.allows(host, port, 443), expected, "{host}:{port}");
        }
        let written = "media.example,*.cdn.example:8443,[::1]:80,10.0.0.1";
        assert_eq!(hosts.to_string(), written);
        assert_eq!(written.parse(), Ok(hosts));
        assert!(!LfsHosts::default().allows("media.example", 443, 443));
    }

    #[test]
    fn addresses_and_patterns_of_other_kinds_are_refused() {
        for text in [
            "https://media.example",
            "media.example/x",
            "me@media.example",
            "*",
            "*.",
            "a.*.example",
            "media.example:port",
            "media..example",
            "[media]",
            "::1",
        ] {
            assert_eq!(text.parse::<LfsHosts>(), Err(ParseLfsHostsError), "{text}");
        }
    }
}
