use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::SshAddress;
use crate::UserInfo;
use crate::address::mask::mask_addresses;

/// The address of a remote repository, in any form that git itself accepts: `https://`, `http://`,
/// `ssh://`, `user@host:path`, `git://`, `file://` or an absolute path.
///
/// `Display` and `Debug` never show what may be a secret; [`RepoUrl::reveal`] is for git only.
/// Forms that run a program (`ext::`) and texts that git would parse as an option are rejected
/// (<https://git-scm.com/docs/git-clone#_git_urls>).
#[derive(Clone, Eq, PartialEq)]
pub struct RepoUrl(String);

/// Transport of a [`RepoUrl`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RepoKind {
    /// `git://`: git's own protocol, without authentication and encryption.
    Git,
    /// Smart or dumb HTTP, with or without TLS.
    Http,
    /// A path on this machine, or `file://`.
    Local,
    /// `ssh://` or the `user@host:path` form.
    Ssh,
}

/// Error of parsing a [`RepoUrl`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected https://, http://, ssh://, user@host:path, file:// or an absolute path")]
pub struct ParseRepoUrlError;

impl RepoUrl {
    /// The transport.
    pub fn kind(&self) -> RepoKind {
        // `parse` has checked the grammar, so the scheme decides.
        match self.0.split_once("://") {
            _ if self.0.starts_with('/') => RepoKind::Local,
            Some(("http" | "https", _)) => RepoKind::Http,
            Some(("git", _)) => RepoKind::Git,
            Some(("file", _)) => RepoKind::Local,
            Some(_) | None => RepoKind::Ssh,
        }
    }

    /// The full text with the password; for git only, never for a log or an argv.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The decoded part of an http(s) address before its host. Other addresses yield only a
    /// password: ssh needs the user in `ssh://git@host`.
    pub fn user_info(&self) -> UserInfo {
        // Most addresses have no `@` and need no parsing.
        let url = self.0.contains('@').then(|| Url::parse(&self.0).ok());
        let Some(url) = url.flatten() else {
            return UserInfo::None;
        };
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let info = UserInfo::new(decoded(url.username()), url.password().map(decoded));
        match self.kind() {
            RepoKind::Http => info,
            _ if info.has_secret() => info,
            _ => UserInfo::None,
        }
    }

    /// An http(s) address without user and password, as it is passed to git; other addresses
    /// unchanged.
    pub fn without_user(&self) -> String {
        let url = (self.0.contains('@') && self.kind() == RepoKind::Http)
            .then(|| Url::parse(&self.0).ok());
        match url.flatten() {
            Some(mut url) if !url.username().is_empty() || url.password().is_some() => {
                // Neither call fails on an http(s) URL, which always has a host.
                let _ = url.set_username("");
                let _ = url.set_password(None);
                url.to_string()
            }
            _ => self.0.clone(),
        }
    }

    /// The address in a form that others may read: without user and password if one of them is a
    /// secret, otherwise unchanged.
    pub fn without_secret(&self) -> String {
        match self.user_info().has_secret() {
            true => self.without_user(),
            false => self.0.clone(),
        }
    }

    /// The parts of an ssh address; `None` for any other.
    pub fn ssh(&self) -> Option<SshAddress> {
        (self.kind() == RepoKind::Ssh)
            .then(|| SshAddress::parse(&self.0))
            .flatten()
    }

    /// The host's name or address in lower case, without port and brackets. `None` for a path, and
    /// for an address that programs parse differently (a `?`, `#`, `%` or backslash before the
    /// first slash): the host that is checked for permission must be the host that git connects to.
    pub fn host(&self) -> Option<String> {
        if self.kind() == RepoKind::Local {
            return None;
        }
        let is_number =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_bracketed = |text: &str| text.split(':').next().is_some_and(|own| own.contains('['));
        let authority = match self.0.split_once("://") {
            Some((_, rest)) => rest.split('/').next()?,
            None if is_bracketed(&self.0) => self.0.split('/').next()?,
            // The path begins at the first colon and may contain any character.
            None => self.0.split(':').next()?,
        };
        if authority.contains(['?', '#', '%', '\\']) {
            return None;
        }
        let host = authority.rsplit('@').next()?;
        let host = if let Some(rest) = host.strip_prefix('[') {
            let inner = rest.split(']').next()?;
            match (inner.parse::<Ipv6Addr>(), inner.split_once(':')) {
                (Ok(address), _) => return Some(address.to_string()),
                // `git@[host:port]:path`, a form older than `ssh://`.
                (Err(_), Some((host, port))) if is_number(port) && !self.0.contains("://") => host,
                (Err(_), _) => return None,
            }
        } else {
            host.split(':').next()?
        };
        let is_sure = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let is_known = !host.is_empty() && host.chars().all(is_sure);
        is_known.then(|| host.to_ascii_lowercase())
    }

    /// The last component of the path as git-sync uses it for the default link: everything after
    /// the last `/`, including `.git`.
    pub fn last_component(&self) -> &str {
        let text = self.0.trim_end_matches('/');
        text.rsplit('/').next().unwrap_or(text)
    }
}

const SCHEMES: [&str; 5] = ["file", "git", "http", "https", "ssh"];

fn kind_of(text: &str) -> Option<RepoKind> {
    let is_path = text.starts_with('/') || text.starts_with("file:///");
    let has_space = text.contains(' ') && !is_path;
    if text.starts_with('-') || text.contains(char::is_control) || has_space {
        return None;
    }
    if text.starts_with('/') {
        return Some(RepoKind::Local);
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let kind = match scheme {
            "http" | "https" => RepoKind::Http,
            "ssh" => RepoKind::Ssh,
            "git" => RepoKind::Git,
            "file" => return rest.starts_with('/').then_some(RepoKind::Local),
            _ => return None,
        };
        let url = Url::parse(text).ok()?;
        // The URL standard parses `https:///x` as host `x`; git does not.
        let host = url
            .host_str()
            .filter(|_| !rest.starts_with('/'))
            .unwrap_or_default();
        let is_option = host.starts_with('-') || url.username().starts_with('-');
        return (!host.is_empty() && !is_option).then_some(kind);
    }
    // The scp form: a colon before the first slash, and no second colon as in `ext::`.
    let (host, path) = text.split_once(':')?;
    let bare = host.rsplit('@').next()?;
    // `https:/host/x` is a misspelt `https://`, not the host `https`.
    let is_typo = SCHEMES.contains(&host) && path.starts_with('/');
    let is_scp = !is_typo
        && !host.contains('/')
        && !bare.is_empty()
        && !bare.starts_with('-')
        && !path.is_empty()
        && !path.starts_with(':')
        && !path.starts_with('-');
    is_scp.then_some(RepoKind::Ssh)
}

impl FromStr for RepoUrl {
    type Err = ParseRepoUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match kind_of(text) {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(ParseRepoUrlError),
        }
    }
}

impl fmt::Display for RepoUrl {
    /// Writes the address with secrets masked; see [`mask_addresses`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask_addresses(&self.0))
    }
}

impl fmt::Debug for RepoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepoUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_follows_from_the_grammar() {
        for text in [
            "https://git.example/x",
            "http://git.example/x",
            "ssh://git@git.example/x",
            "git@git.example:org/x",
            "git.example:x",
            "git://git.example/x",
            "file:///srv/x",
            "/srv/x://y",
            "https://git.example/a://b",
        ] {
            let url: RepoUrl = text.parse().unwrap();
            assert_eq!(Some(url.kind()), kind_of(text), "{text}");
        }
    }

    #[test]
    fn the_host_is_the_same_in_every_form() {
        for (text, expected) in [
            ("https://git.example/x", Some("git.example")),
            ("https://me:pw@Git.Example:8443/x", Some("git.example")),
            ("https://git.example@evil.example/x", Some("evil.example")),
            ("ssh://git@git.example:2222/x", Some("git.example")),
            ("ssh://git@GIT.example/x", Some("git.example")),
            ("git@git.example:org/x", Some("git.example")),
            ("git.example:x@evil.example", Some("git.example")),
            ("git@[2001:db8::1]:org/x", Some("2001:db8::1")),
            ("git@[git.example:2222]:x", Some("git.example")),
            ("me@git.example@evil.example:x", Some("evil.example")),
            ("[me@evil.example:22]:x", Some("evil.example")),
            ("git.example:[x]/y", Some("git.example")),
            // In some of these, curl, git and ssh connect to evil.example; the URL standard reads
            // git.example.
            ("https://git.example\\@evil.example/x", None),
            ("https://git.example?@evil.example/x", None),
            ("ssh://git.example#@evil.example/x", None),
            ("https://git%2eexample/x", None),
            ("https://[2001:db8::1]:8443/x", Some("2001:db8::1")),
            ("git://git.example/x", Some("git.example")),
            ("file:///srv/x", None),
            ("/srv/x", None),
        ] {
            let url: RepoUrl = text.parse().unwrap();
            assert_eq!(url.host().as_deref(), expected, "{text}");
        }
    }

    fn kind(text: &str) -> Option<RepoKind> {
        text.parse::<RepoUrl>().ok().map(|url| url.kind())
    }

    #[test]
    fn every_form_that_git_accepts_is_parsed() {
        for (text, expected) in [
            ("https://git.example/site.git", RepoKind::Http),
            ("http://user:pw@git.example:8080/site", RepoKind::Http),
            ("ssh://git@git.example:2222/site.git", RepoKind::Ssh),
            ("git@git.example:org/site.git", RepoKind::Ssh),
            ("git.example:site.git", RepoKind::Ssh),
            ("file:///srv/site.git", RepoKind::Local),
            ("/srv/site.git", RepoKind::Local),
            ("/srv/my site.git", RepoKind::Local),
            ("file:///srv/my site.git", RepoKind::Local),
            ("git://git.example/site.git", RepoKind::Git),
            ("git://git.example:9418/site.git", RepoKind::Git),
        ] {
            assert_eq!(kind(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn options_programs_and_incomplete_addresses_are_refused() {
        for text in [
            "",
            "--upload-pack=x",
            "ext::sh -c id",
            "ext::id",
            "site",
            "./site",
            "https://",
            "https:///site",
            "ftp://git.example/x",
            "ssh://-oProxyCommand=id/x",
            "-oProxyCommand=id:x",
            "git@-host:x",
            "git@host:-x",
            "https://git.example/a b",
            "git://-host/x",
            "git:///x",
            "git@host:a b",
            "https://git.example/\n",
            "file://host/x",
        ] {
            assert_eq!(kind(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let url: RepoUrl = "https://me:secret@git.example/x".parse().unwrap();
        assert_eq!(url.to_string(), "https://me:REDACTED@git.example/x");
        assert!(!format!("{url:?}").contains("secret"));
        for text in [
            "https://secret@git.example/x",
            "me:secret@git.example:8080/x.git",
            "ssh://git:secret@git.example/x",
            "https://git.example/x?private_token=secret",
        ] {
            let shown = text.parse::<RepoUrl>().unwrap().to_string();
            assert!(!shown.contains("secret"), "{shown}");
        }
        assert!(url.user_info().has_secret());
        assert_eq!(url.without_secret(), "https://git.example/x");
    }

    #[test]
    fn an_address_without_credentials_stays_as_typed() {
        let url: RepoUrl = "https://git.example".parse().unwrap();
        assert_eq!(url.without_user(), "https://git.example");
        assert_eq!(url.user_info(), UserInfo::None);
        assert_eq!(url.to_string(), "https://git.example");
    }

    #[test]
    fn a_user_name_alone_is_not_a_credential() {
        for (text, info, without_secret) in [
            (
                "https://git.example/x",
                UserInfo::None,
                "https://git.example/x",
            ),
            (
                "https://acme@git.example/x",
                UserInfo::Name("acme".to_owned()),
                "https://acme@git.example/x",
            ),
            (
                "https://me%40corp.example@git.example/x",
                UserInfo::Name("me@corp.example".to_owned()),
                "https://me%40corp.example@git.example/x",
            ),
            (
                "https://me:a%40b@git.example/x",
                UserInfo::Credentials {
                    username: "me".to_owned(),
                    password: "a@b".to_owned(),
                },
                "https://git.example/x",
            ),
            (
                "https://glpat-x@git.example/x",
                UserInfo::Credentials {
                    username: "glpat-x".to_owned(),
                    password: String::new(),
                },
                "https://git.example/x",
            ),
            (
                "ssh://git@git.example/x",
                UserInfo::None,
                "ssh://git@git.example/x",
            ),
            ("git@git.example:x", UserInfo::None, "git@git.example:x"),
            ("/srv/a@b", UserInfo::None, "/srv/a@b"),
        ] {
            let url: RepoUrl = text.parse().unwrap();
            assert_eq!(url.user_info(), info, "{text}");
            assert_eq!(url.without_secret(), without_secret, "{text}");
        }
    }
}
