//! A repository's address, and the directory that git makes for it.

use args::RepoUrl;
use args::mask_addresses;

/// The address without user and password, where there is a secret among them, and with what else may be a
/// secret in it masked. A name alone is no secret, and stays.
pub(crate) fn without_credentials(address: &str) -> String {
    let Ok(url) = address.parse::<RepoUrl>() else {
        return mask_addresses(address);
    };
    let bare = url.without_user();
    let masked = mask_addresses(&bare);
    match url.user_info().has_secret() || masked != bare {
        true => masked,
        false => address.to_owned(),
    }
}

/// Why no repository can be cloned from an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unfit {
    /// It is a path.
    Local,
    /// git's own words for it are not among those that a syncer takes.
    Unknown,
}

/// Tells a path on the node from an address that nobody understands, of a text that is no remote
/// repository's. git takes for a path what has no scheme and no colon before the first slash.
pub(super) fn unfit(text: &str) -> Unfit {
    let is_scheme = text.split_once("://").is_some();
    let host = text.split('/').next().unwrap_or_default();
    match text.starts_with("file:") || !is_scheme && !host.contains(':') {
        true => Unfit::Local,
        false => Unfit::Unknown,
    }
}

/// The directory that git makes for an address (git-clone(1), `git_url_basename` in git's dir.c),
/// or nothing where it finds none.
pub(super) fn humanish(address: &str) -> String {
    // git's own notion, which has no vertical tab.
    let is_blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
    let rest = address.find("://").map_or(address, |at| &address[at + 3..]);
    // Credentials end with the last @ before the path begins.
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
    // A port is no directory, unless a path leads to it.
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
    fn an_address_without_credentials_has_none_and_others_stay_as_typed() {
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
    fn a_path_on_the_node_is_told_from_an_address_that_is_not_understood() {
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
