//! The address of a gitRepo volume, and the directory that git creates for it.

use args::RepoUrl;
use args::mask_addresses;

/// The address without user and password, where one of them may be secret, and with other possible
/// secrets masked. A user name alone is no secret, and stays.
pub(crate) fn without_credentials(address: &str) -> String {
    let Ok(url) = address.parse::<RepoUrl>() else {
        return mask_addresses(address);
    };
    let bare = url.without_user();
    let masked = mask_addresses(&bare);
    if url.user_info().has_secret() || masked != bare {
        masked
    } else {
        address.to_owned()
    }
}

/// The reason why an address cannot be cloned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unfit {
    /// It is a path.
    Local,
    /// The syncer does not support git's syntax of it.
    Unknown,
}

/// Classifies a text that is no remote address: a path on the node, or an unsupported address. git
/// takes a text for a path if it has no scheme and no colon before the first slash.
pub(super) fn unfit(text: &str) -> Unfit {
    let is_scheme = text.split_once("://").is_some();
    let host = text.split('/').next().unwrap_or_default();
    if text.starts_with("file:") || !is_scheme && !host.contains(':') {
        Unfit::Local
    } else {
        Unfit::Unknown
    }
}

/// The directory that git creates for an address (git-clone(1), `git_url_basename` in git's dir.c);
/// empty where git derives none.
pub(super) fn humanish(address: &str) -> String {
    // git's definition, which has no vertical tab.
    let is_blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
    let rest = address.find("://").map_or(address, |at| &address[at + 3..]);
    // Credentials end at the last @ before the path.
    let authority = rest.find('/').unwrap_or(rest.len());
    let rest = match rest[..authority].rfind('@') {
        Some(at) => &rest[at + 1..],
        None => rest,
    };
    let rest = rest.trim_end_matches(|c: char| c == '/' || is_blank(c));
    let rest = match rest.strip_suffix("/.git") {
        Some(shorter) if !shorter.is_empty() => shorter.trim_end_matches('/'),
        _ => rest,
    };
    // A port is no directory name, unless a path follows it.
    let rest = match (rest.contains('/'), rest.rsplit_once(':')) {
        (false, Some((host, port))) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => rest,
    };
    let last = rest.rsplit(['/', ':']).next().unwrap_or(rest);
    let last = last.strip_suffix(".git").unwrap_or(last);
    let is_gap = |c: char| c < ' ' || is_blank(c);
    let words: Vec<&str> = last.split(is_gap).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_removed_and_other_addresses_stay_as_typed() {
        for (text, expected) in [
            (
                "https://me:pw@git.example/x.git",
                "https://git.example/x.git",
            ),
            ("https://ghp_x@git.example/x", "https://git.example/x"),
            ("https://acme@git.example/x", "https://acme@git.example/x"),
            ("https://git.example:443/x", "https://git.example:443/x"),
            ("ssh://git@git.example/x", "ssh://git@git.example/x"),
            ("git@git.example:x", "git@git.example:x"),
            (
                "me:pw@git.example:8443/x.git",
                "me:REDACTED@git.example:8443/x.git",
            ),
            (
                "https://git.example/x?private_token=pw",
                "https://git.example/x?private_token=REDACTED",
            ),
            ("no address", "no address"),
        ] {
            assert_eq!(without_credentials(text), expected);
        }
    }

    #[test]
    fn local_paths_are_distinguished_from_unsupported_addresses() {
        for text in [
            "",
            "/srv/x",
            "./x",
            "x",
            "x/y:z",
            "file:///x",
            "file://h/x",
            "C/x",
        ] {
            assert_eq!(unfit(text), Unfit::Local, "{text:?}");
        }
        for text in ["ftp://git.example/x", "ext::sh", "git.example:", "https://"] {
            assert_eq!(unfit(text), Unfit::Unknown, "{text:?}");
        }
    }
}
