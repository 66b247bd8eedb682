//! The allowed hosts: the operator's list.

use std::str::FromStr;

use args::cache::OriginAddress;
use args::cache::OriginScheme;
use args::cache::is_host;

/// One entry: `[http://]HOST[:PORT]`, where HOST is a DNS name, or `*.DOMAIN` for all names below a
/// domain. Without a port, the scheme's default port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AllowedHost {
    scheme: OriginScheme,
    name: String,
    /// Whether the names below `name` are meant, and not itself.
    is_below: bool,
    port: u16,
}

/// A malformed entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ParseAllowedHostError;

impl FromStr for AllowedHost {
    type Err = ParseAllowedHostError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = match text.split_once("://") {
            None => (OriginScheme::Https, text),
            Some(("https", rest)) => (OriginScheme::Https, rest),
            Some(("http", rest)) => (OriginScheme::Http, rest),
            Some(_) => return Err(ParseAllowedHostError),
        };
        let (name, port) = match rest.split_once(':') {
            None => (rest, scheme.default_port()),
            Some((name, port)) => (name, port.parse().map_err(|_| ParseAllowedHostError)?),
        };
        let (name, is_below) = match name.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let name = name.to_ascii_lowercase();
        if !is_host(&name) {
            return Err(ParseAllowedHostError);
        }
        Ok(Self {
            scheme,
            name,
            is_below,
            port,
        })
    }
}

impl AllowedHost {
    /// Whether this entry allows an origin.
    pub(crate) fn allows(&self, origin: &OriginAddress) -> bool {
        let is_name = match self.is_below {
            false => origin.host() == self.name,
            true => {
                let above = origin.host().strip_suffix(&self.name);
                above.is_some_and(|above| above.len() > 1 && above.ends_with('.'))
            }
        };
        is_name && origin.scheme() == self.scheme && origin.port() == self.port
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(entry: &str, path: &str) -> bool {
        let origin = OriginAddress::from_cache_path(path).unwrap();
        entry.parse::<AllowedHost>().unwrap().allows(&origin)
    }

    #[test]
    fn an_entry_allows_its_scheme_host_and_port_only() {
        assert!(allows("git.example", "/https/git.example/site"));
        assert!(allows("Git.example:8443", "/https/git.example:8443/site"));
        assert!(allows("http://git.example", "/http/git.example/site"));
        assert!(allows("*.example", "/https/a.b.example/site"));
        for (entry, path) in [
            ("git.example", "/http/git.example/site"),
            ("git.example", "/https/git.example:8443/site"),
            ("git.example", "/https/a.git.example/site"),
            ("git.example", "/https/git.example.evil/site"),
            ("git.example", "/https/evilgit.example/site"),
            ("http://git.example", "/https/git.example/site"),
            ("*.example", "/https/example/site"),
            ("*.example", "/https/evilexample/site"),
            ("*.git.example", "/https/xgit.example/site"),
        ] {
            assert!(!allows(entry, path), "{entry} {path}");
        }
    }

    #[test]
    fn entries_outside_the_grammar_are_refused() {
        for text in [
            "",
            "*",
            "*.",
            ".example",
            "git.*",
            "127.0.0.1",
            "[::1]",
            "ftp://git.example",
            "git.example/",
            "git.example:x",
            "me@git.example",
            "https://",
            "a b",
        ] {
            assert_eq!(
                text.parse::<AllowedHost>(),
                Err(ParseAllowedHostError),
                "{text}"
            );
        }
    }
}
