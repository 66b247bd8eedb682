//! The contract between the syncer and the pull-through cache (`gitvolume-syncer cache`): paths and
//! headers.
//!
//! The cache serves the repository `https://git.example/team/site.git` below its own path
//! `/https/git.example/team/site.git`, with git's smart HTTP protocol, version 2, upload-pack:
//! `GET PATH/info/refs?service=git-upload-pack` and `POST PATH/git-upload-pack`. A follower sends
//! its own `Authorization` with the first request; the cache uses it for this repository alone.
//!
//! Answers to `ls-refs` (a POST with `command=ls-refs`):
//! - Each has an `ETag`, and [`AS_OF`]: the time at which the origin gave the answer, RFC 3339 in
//!   UTC with milliseconds. Clocks of replicas may differ; compare times of one replica only.
//! - `If-None-Match: ETAG` with `Prefer: wait=N` (RFC 7240; at most [`MAX_WAIT_SECONDS`]) holds the
//!   request until the answer differs (200), or until N seconds have passed (304). A 304 with
//!   `Connection: close` before that comes from a replica that shuts down: repeat the request.
//! - An `If-None-Match` that is not the present ETag makes the cache ask the origin.
//! - [`STALE`] marks an answer from memory while the origin is unreachable; its value is the age in
//!   seconds. A follower that has published something ignores such an answer.
//! - [`CA`] changes when the CAs change that a follower should trust for the cache. A follower that
//!   has not seen its value requests [`CA_PATH`] and trusts these CAs from then on, in addition to
//!   the configured ones. So a Pod that keeps its configuration for its whole life learns the next
//!   CA before that signs.
//!
//! Answers to `fetch` are git's own bytes. A follower whose git fails on one repeats the request
//! once with `Cache-Control: no-cache`.
//!
//! Status codes of the cache itself; after each of them the follower continues without the cache:
//! 400 malformed request, 403 host not allowed, 404 path outside the grammar, 413 request too long,
//! 501 request or repository that the cache does not support, 502 unusable answer of the origin,
//! 503 with `Retry-After` overload or a pause that the origin requests, 504 origin unreachable.
//! 401, 403 and 404 of the origin are passed on, 401 with its `WWW-Authenticate`.

use std::fmt;

use url::Url;

/// Response header of `ls-refs`: the time at which the origin gave the answer.
pub const AS_OF: &str = "gitvolume-as-of";

/// Response header of `ls-refs`: the age in seconds of an answer that is served while the origin is
/// unreachable.
pub const STALE: &str = "gitvolume-stale";

/// Response header of `ls-refs` and of [`crate::wake::WATCH_PATH`]: names the present content of
/// [`CA_PATH`]. The value has no other meaning.
pub const CA: &str = "gitvolume-ca";

/// The path of the CA certificates that sign the cache's certificates, PEM. They are public: the
/// request needs no credential. 404 if the cache has none to name.
pub const CA_PATH: &str = "/ca";

/// The longest wait in seconds that `Prefer: wait=N` may request; less than the idle timeouts of
/// load balancers and meshes.
pub const MAX_WAIT_SECONDS: u64 = 50;

/// The longest path of a repository in bytes.
const LONGEST_PATH: usize = 1024;

/// The longest host name in bytes (RFC 1035).
const LONGEST_HOST: usize = 253;

/// The scheme of a repository that the cache serves.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum OriginScheme {
    /// Plain HTTP; served only if the operator lists the host with `http://`.
    Http,
    /// HTTPS.
    Https,
}

impl OriginScheme {
    /// The scheme as in a URL, without `:`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port of an address without one.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// The address of a repository in the strict grammar that the cache accepts.
///
/// - The host is a DNS name in lower case: no user, no IP address in any notation (the last label
///   is neither a number nor begins with `0x`), no `%`.
/// - The path begins with `/`, has no empty segment, no `.` and `..`, and consists of unreserved
///   and sub-delimiter characters of RFC 3986 and of `%XX` for anything but control bytes, `/`,
///   `\`, `.` and `%`.
/// - There is neither a query nor a fragment.
///
/// Path bytes are kept as they are: no normalization, no decoding.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OriginAddress {
    scheme: OriginScheme,
    host: String,
    port: Option<u16>,
    path: String,
}

impl OriginAddress {
    /// The address of an http(s) repository; `None` if the cache cannot serve it.
    pub fn from_url(url: &Url) -> Option<Self> {
        let scheme = match url.scheme() {
            "http" => OriginScheme::Http,
            "https" => OriginScheme::Https,
            _ => return None,
        };
        let has_more = !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some();
        let host = url.host_str().filter(|_| !has_more)?;
        Self::new(scheme, host, url.port(), url.path().trim_end_matches('/'))
    }

    /// Parses a path of the cache, without what follows the repository: `/https/HOST[:PORT]/PATH`.
    pub fn from_cache_path(path: &str) -> Option<Self> {
        let (scheme, rest) = path.strip_prefix('/')?.split_once('/')?;
        let scheme = match scheme {
            "http" => OriginScheme::Http,
            "https" => OriginScheme::Https,
            _ => return None,
        };
        let at = rest.find('/')?;
        let (authority, path) = rest.split_at(at);
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(parse_port(port)?)),
            None => (authority, None),
        };
        // One spelling per repository: a default port is not written.
        if port == Some(scheme.default_port()) {
            return None;
        }
        Self::new(scheme, host, port, path)
    }

    fn new(scheme: OriginScheme, host: &str, port: Option<u16>, path: &str) -> Option<Self> {
        (is_host(host) && is_path(path)).then(|| Self {
            scheme,
            host: host.to_owned(),
            port,
            path: path.to_owned(),
        })
    }

    /// The path of the cache below which this repository is served.
    pub fn to_cache_path(&self) -> String {
        let scheme = self.scheme.as_str();
        format!("/{scheme}/{}{}", self.authority(), self.path)
    }

    /// The scheme.
    pub fn scheme(&self) -> OriginScheme {
        self.scheme
    }

    /// The host's name.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also if the address does not contain it.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(self.scheme.default_port())
    }

    /// The path of the repository on its host.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// `HOST` or `HOST:PORT`.
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }
}

impl fmt::Display for OriginAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.scheme.as_str();
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

/// The URL through which the cache at `cache` serves the repository `origin`; `None` if it cannot.
pub fn cache_url(cache: &Url, origin: &Url) -> Option<Url> {
    let path = OriginAddress::from_url(origin)?.to_cache_path();
    Some(url_of(cache, &path))
}

/// The URL of a path of the cache at `cache`, such as [`CA_PATH`].
pub fn url_of(cache: &Url, path: &str) -> Url {
    let base = cache.path().trim_end_matches('/');
    let mut url = cache.clone();
    url.set_path(&format!("{base}{path}"));
    url
}

fn parse_port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain)
}

/// Whether a text is a DNS name in lower case, and no spelling of an IP address.
pub fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        let inner = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
        };
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    text.len() <= LONGEST_HOST && !is_number && text.split('.').all(is_label)
}

fn is_path(text: &str) -> bool {
    let Some(inside) = text.strip_prefix('/') else {
        return false;
    };
    text.len() <= LONGEST_PATH && inside.split('/').all(is_segment)
}

fn is_segment(segment: &str) -> bool {
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let is_right = match byte {
            b'%' => {
                let digit = |byte: Option<u8>| (byte? as char).to_digit(16);
                match (digit(bytes.next()), digit(bytes.next())) {
                    (Some(high), Some(low)) => {
                        let value = high * 16 + low;
                        value >= 0x20 && value != 0x7f && !b"/\\.%".contains(&(value as u8))
                    }
                    _ => false,
                }
            }
            byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte),
        };
        if !is_right {
            return false;
        }
    }
    !matches!(segment, "" | "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect(text)
    }

    #[test]
    fn a_repository_has_one_path_in_the_cache() {
        let cache = url("https://cache.example:8443/base/");
        for (origin, expected) in [
            (
                "https://git.example/team/site.git",
                "https://cache.example:8443/base/https/git.example/team/site.git",
            ),
            (
                "https://Git.Example:443/site/",
                "https://cache.example:8443/base/https/git.example/site",
            ),
            (
                "http://git.example:8080/~me/a%20b",
                "https://cache.example:8443/base/http/git.example:8080/~me/a%20b",
            ),
        ] {
            let made = cache_url(&cache, &url(origin)).expect(origin);
            assert_eq!(made.as_str(), expected);
        }
        let expected = "https://cache.example:8443/base/ca";
        assert_eq!(url_of(&cache, CA_PATH).as_str(), expected);
    }

    #[test]
    fn addresses_outside_the_grammar_have_none() {
        for origin in [
            "https://me@git.example/site",
            "https://me:secret@git.example/site",
            "https://git.example/site?x",
            "https://git.example/site#x",
            "https://git.example/",
            "https://git.example",
            "https://127.0.0.1/site",
            "https://[::1]/site",
            "https://git.example/a//b",
            "https://git.example/a%2fb",
            "https://git.example/a%2Fb",
            "https://git.example/a%5Cb",
            "https://git.example/%00",
            "https://git.example/a%252fb",
            "ssh://git.example/site",
        ] {
            assert_eq!(OriginAddress::from_url(&url(origin)), None, "{origin}");
        }
    }

    #[test]
    fn paths_that_reach_another_place_are_refused() {
        for path in [
            "",
            "/",
            "/https",
            "/https/git.example",
            "/https/git.example/",
            "/ftp/git.example/site",
            "/https/GIT.example/site",
            "/https/git.example:443/site",
            "/http/git.example:80/site",
            "/https/git.example:/site",
            "/https/git.example:0/site",
            "/https/git.example:065/site",
            "/https/git.example:99999/site",
            "/https/me@git.example/site",
            "/https/127.0.0.1/site",
            "/https/127.1/site",
            "/https/2130706433/site",
            "/https/0x7f000001/site",
            "/https/git.0x7f/site",
            "/https/[::1]/site",
            "/https/git.example./site",
            "/https/-git.example/site",
            "/https/git%2eexample/site",
            "/https/git.example/../site",
            "/https/git.example/a/..",
            "/https/git.example/./site",
            "/https/git.example/%2e%2e/site",
            "/https/git.example/%2E./site",
            "/https/git.example/a//b",
            "/https/git.example/a%2fb",
            "/https/git.example/a%5cb",
            "/https/git.example/a\\b",
            "/https/git.example/a%0ab",
            "/https/git.example/a%7fb",
            "/https/git.example/a%",
            "/https/git.example/a%zz",
            "/https/git.example/a b",
            "/https/git.example/a\u{e9}",
            "https/git.example/site",
        ] {
            assert_eq!(OriginAddress::from_cache_path(path), None, "{path}");
        }
        let long = format!("/https/git.example/{}", "a".repeat(LONGEST_PATH));
        assert_eq!(OriginAddress::from_cache_path(&long), None);
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_read_back(text in "/https?/[a-z0-9.:-]{1,12}/[ -~]{0,20}|\\PC{0,30}") {
            if let Some(address) = OriginAddress::from_cache_path(&text) {
                prop_assert_eq!(address.to_cache_path(), text);
                // A host may begin with `xn--` and be no international name.
                if let Ok(url) = Url::parse(&address.to_string()) {
                    prop_assert_eq!(OriginAddress::from_url(&url), Some(address));
                }
            }
        }
    }
}
