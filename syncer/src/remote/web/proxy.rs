//! The proxies of the environment, selected by the rules of git and its curl.

use std::net::IpAddr;

use hyper::Uri;
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::client::proxy::matcher::Matcher;
use url::Host;
use url::Url;

use crate::config::Environment;

/// curl's default port of a proxy.
const PORT: u16 = 1080;

/// The proxies by the scheme of an address.
pub(crate) struct Proxies {
    http: Matcher,
    https: Matcher,
    direct: String,
}

impl Proxies {
    /// Reads the variables in git's order (its `http.c`): the lower-case spelling takes precedence,
    /// and an empty value means no proxy.
    pub(crate) fn of(environment: &Environment) -> Self {
        let value = |names: &[&str]| {
            let find = |name: &&str| {
                let mut vars = environment.gits.iter();
                let found = vars.find(|(known, _)| known == name);
                found.map(|(_, value)| value.clone())
            };
            names.iter().find_map(find)
        };
        let all = value(&["all_proxy", "ALL_PROXY"]);
        let matcher = |own: Option<String>| {
            let proxy = own.or_else(|| all.clone()).unwrap_or_default();
            Matcher::builder()
                .all(with_port(&proxy).unwrap_or_default())
                .build()
        };
        Self {
            http: matcher(value(&["http_proxy"])),
            https: matcher(value(&["https_proxy", "HTTPS_PROXY"])),
            direct: value(&["no_proxy", "NO_PROXY"]).unwrap_or_default(),
        }
    }

    /// The proxy for an address; `None` if it is reached directly.
    pub(crate) fn intercept(&self, url: &Url) -> Option<Intercept> {
        if url
            .host()
            .is_some_and(|host| is_direct(&self.direct, &host))
        {
            return None;
        }
        let matcher = match url.scheme() {
            "https" => &self.https,
            _ => &self.http,
        };
        matcher.intercept(&url.as_str().parse().ok()?)
    }
}

/// A proxy with its port; `None` for an unsupported kind.
pub(crate) fn with_port(proxy: &str) -> Option<String> {
    if proxy.is_empty() {
        return Some(String::new());
    }
    let uri: Uri = proxy.parse().ok()?;
    let authority = uri.authority()?;
    let is_plain = matches!(uri.scheme_str(), None | Some("http"));
    let port = match authority.port() {
        Some(_) => String::new(),
        None => format!(":{PORT}"),
    };
    is_plain.then(|| format!("http://{authority}{port}"))
}

/// Whether a host matches `no_proxy`, by curl's rules (its `noproxy.c`): `*` alone matches every
/// host; names are separated by commas and blanks, with or without a leading dot; a name matches
/// its subdomains as well; an address may have a prefix length; ports are not supported.
fn is_direct(list: &str, host: &Host<&str>) -> bool {
    if list == "*" {
        return true;
    }
    let mut tokens = list
        .split([',', ' ', '\t'])
        .filter(|token| !token.is_empty());
    match host {
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            tokens.any(|token| {
                let token = token.strip_suffix('.').unwrap_or(token);
                let token = token.strip_prefix('.').unwrap_or(token);
                let at = name.len().checked_sub(token.len());
                let is_tail = at.and_then(|at| name.get(at..));
                !token.is_empty()
                    && is_tail.is_some_and(|tail| tail.eq_ignore_ascii_case(token))
                    && at.is_some_and(|at| at == 0 || name[..at].ends_with('.'))
            })
        }
        Host::Ipv4(address) => tokens.any(|token| is_in(token, IpAddr::V4(*address))),
        Host::Ipv6(address) => tokens.any(|token| is_in(token, IpAddr::V6(*address))),
    }
}

/// Whether an address is in a network such as `10.0.0.0/8`, or equal to the given one.
fn is_in(token: &str, address: IpAddr) -> bool {
    let (network, length) = match token.split_once('/') {
        // curl reads an invalid prefix length as zero, which means the whole address.
        Some((network, length)) => (network, length.parse::<u32>().unwrap_or_default()),
        None => (token, 0),
    };
    let same_bits = |a: u128, b: u128, width: u32| {
        let length = if length == 0 { width } else { length };
        length <= width && (a ^ b).checked_shr(width - length).unwrap_or_default() == 0
    };
    match (network.parse(), address) {
        (Ok(IpAddr::V4(network)), IpAddr::V4(address)) => {
            let [network, address] = [network, address].map(|ip| u128::from(u32::from(ip)));
            same_bits(network, address, 32)
        }
        (Ok(IpAddr::V6(network)), IpAddr::V6(address)) => {
            same_bits(network.into(), address.into(), 128)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(vars: &[(&str, &str)], url: &str) -> Option<String> {
        let url = url.parse().unwrap();
        let found = Proxies::of(&Environment::with_git_variables(vars)).intercept(&url);
        found.map(|proxy| proxy.uri().authority().unwrap().to_string())
    }

    #[test]
    fn a_proxy_is_found_as_git_finds_it() {
        let https = "https://git.example/x";
        let both = [("https_proxy", "http://a:1"), ("HTTPS_PROXY", "http://b:1")];
        assert_eq!(found(&both, https).as_deref(), Some("a:1"));
        assert_eq!(found(&both, "http://git.example/x"), None);
        assert_eq!(
            found(&[("HTTP_PROXY", "http://a:1")], "http://git.example/x"),
            None
        );
        assert_eq!(
            found(&[("ALL_PROXY", "a:1")], https).as_deref(),
            Some("a:1")
        );
        assert_eq!(
            found(&[("https_proxy", "a")], https).as_deref(),
            Some("a:1080")
        );
        let none = [
            ("https_proxy", ""),
            ("HTTPS_PROXY", "b:1"),
            ("all_proxy", "a:1"),
        ];
        assert_eq!(found(&none, https), None);
        let small = [("https_proxy", "a:1"), ("no_proxy", "x"), ("NO_PROXY", "*")];
        assert_eq!(found(&small, https).as_deref(), Some("a:1"));
    }

    #[test]
    fn no_proxy_is_read_as_curl_reads_it() {
        for (list, host, expected) in [
            ("*", "git.example", true),
            (" *", "git.example", false),
            ("a,*", "git.example", false),
            ("git.example", "git.example", true),
            ("GIT.example", "git.Example", true),
            ("example", "git.example", true),
            (".example", "git.example", true),
            (".git.example", "git.example", true),
            ("..example", "git.example", false),
            ("ample", "git.example", false),
            ("x.git.example", "git.example", false),
            ("a.example git.example", "git.example", true),
            ("a.example, git.example", "git.example", true),
            ("a.example,\tgit.example.", "git.example", true),
            ("git.example:443", "git.example", false),
            ("*.example", "git.example", false),
            ("", "git.example", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.1.2.0/25", "10.1.2.200", false),
            ("10.1.2.3/0", "10.1.2.4", false),
            ("10.1.2.3/33", "10.1.2.3", false),
            ("2.3", "10.1.2.3", false),
            ("2001:db8::1", "[2001:db8::1]", true),
            ("[2001:db8::1]", "[2001:db8::1]", false),
            ("2001:db8::/32", "[2001:db8:1::1]", true),
            ("2001:db8::/32", "[2001:db9::1]", false),
        ] {
            let url = format!("https://{host}:8443/x");
            let vars = [("all_proxy", "a:1"), ("no_proxy", list)];
            assert_eq!(found(&vars, &url).is_none(), expected, "{list:?} {host}");
        }
    }
}
