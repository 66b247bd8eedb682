//! Masking of secrets in the addresses that a text contains.

use std::borrow::Cow;
use std::ops::Range;

use crate::address::user_info::TOKEN_PREFIXES;
use crate::address::user_info::may_be_token;

/// Replacement for a secret.
pub const MASK: &str = "REDACTED";

/// Fixed password that GitHub accepts when the user name is the token.
const NO_PASSWORD: &str = "x-oauth-basic";

/// Minimum length of a token; a shorter word with a token's prefix is an ordinary name.
const SHORTEST_TOKEN: usize = 20;

/// Substrings of the names of parameters that hold secrets: `access_token`, `private_token`,
/// `X-Amz-Signature`, `apikey`.
const SECRET_PARAMETERS: [&str; 9] = [
    "auth",
    "credential",
    "jwt",
    "key",
    "pass",
    "pwd",
    "secret",
    "sig",
    "token",
];

/// Part of an address that is or may be a secret.
struct Part {
    place: Range<usize>,
    /// Whether it is a secret in every context. Otherwise it may be a user name, and only this
    /// occurrence is masked.
    is_sure: bool,
}

/// Masks everything in the addresses of a text that is or may be a secret: passwords, the user name
/// of http(s) without a password, which may be a token, and parameters such as `access_token`.
/// Idempotent.
pub fn mask_addresses(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for Part { place, .. } in parts(text) {
        out.push_str(&text[end..place.start]);
        out.push_str(MASK);
        end = place.end;
    }
    out.push_str(&text[end..]);
    mask_tokens(out)
}

/// Masks access tokens anywhere in a text, recognised by their documented prefix.
fn mask_tokens(text: String) -> String {
    if !TOKEN_PREFIXES.iter().any(|prefix| text.contains(prefix)) {
        return text;
    }
    let is_own = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let pieces = text.split_inclusive(|c| !is_own(c));
    pieces
        .map(|piece| {
            let token = piece.trim_end_matches(|c| !is_own(c));
            let is_token = token.len() >= SHORTEST_TOKEN
                && TOKEN_PREFIXES
                    .iter()
                    .any(|prefix| token.starts_with(prefix));
            match is_token {
                true => Cow::Owned(format!("{MASK}{}", &piece[token.len()..])),
                false => Cow::Borrowed(piece),
            }
        })
        .collect()
}

/// The secrets in the addresses of a text, as they are written there (percent-encoded).
pub fn address_secrets(text: &str) -> Vec<String> {
    let sure = parts(text).into_iter().filter(|part| part.is_sure);
    sure.map(|part| text[part.place].to_owned()).collect()
}

/// The secret parts of a text, in order of position.
fn parts(text: &str) -> Vec<Part> {
    let is_end = |c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '`' | '<' | '>');
    let mut parts = Vec::new();
    let mut start = 0;
    for piece in text.split_inclusive(is_end) {
        let word = piece.trim_end_matches(is_end);
        add_word(text, start..start + word.len(), &mut parts);
        start += piece.len();
    }
    parts
}

fn add_word(text: &str, word: Range<usize>, parts: &mut Vec<Part>) {
    const SEPARATOR: &str = "://";
    let Some(at) = text[word.clone()].find(SEPARATOR) else {
        if let Some((scheme, length)) = broken_scheme(&text[word.clone()]) {
            let path = add_user(text, word.start + length..word.end, scheme, parts);
            return add_parameters(text, path..word.end, parts);
        }
        let path = add_user(text, word.clone(), None, parts);
        return add_parameters(text, path..word.end, parts);
    };
    let before = &text[word.start..word.start + at];
    let scheme = before[scheme_of(before)..].to_ascii_lowercase();
    let authority = word.start + at + SEPARATOR.len();
    // An address may contain another one: `url.https://me:x@git.example/.insteadOf=https://…`.
    let rest = &text[authority..word.end];
    let next = rest.find(SEPARATOR).map(|at| scheme_of(&rest[..at]));
    let next = next.map_or(word.end, |at| authority + at);
    let path = add_user(text, authority..next, Some(&scheme), parts);
    add_parameters(text, path..next, parts);
    if next < word.end {
        add_word(text, next..word.end, parts);
    }
}

/// Misspelt start of an address, for example `https:/`, `https//` or `//` instead of `https://`:
/// the scheme, if there is one, and the length of the start.
fn broken_scheme(word: &str) -> Option<(Option<&str>, usize)> {
    let slash = word.find('/')?;
    let before = word[..slash].trim_end_matches(':');
    let slashes = word[slash..]
        .bytes()
        .take_while(|byte| *byte == b'/')
        .count();
    let length = slash + slashes;
    match &before[scheme_of(before)..] {
        "" if before.len() == slash && slashes > 1 => Some((None, length)),
        scheme @ ("http" | "https" | "git" | "ssh") if before.len() < slash || slashes > 1 => {
            Some((Some(scheme), length))
        }
        _ => None,
    }
}

/// Start offset of the scheme at the end of a text.
fn scheme_of(text: &str) -> usize {
    let is_own = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    text.trim_end_matches(is_own).len()
}

/// Adds the user name and password before the host; returns the offset of the host.
fn add_user(text: &str, rest: Range<usize>, scheme: Option<&str>, parts: &mut Vec<Part>) -> usize {
    let own = &text[rest.clone()];
    let end = own.find('/').unwrap_or(own.len());
    let end = match own[..end].split_once(':') {
        // Not a port number, so the slash belongs to a password.
        Some((_, port))
            if scheme.is_some()
                && !own[..end].contains('@')
                && !port.is_empty()
                && !port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            own.len()
        }
        _ => end,
    };
    let Some(at) = own[..end].rfind('@') else {
        return rest.start;
    };
    let user = &own[..at];
    let host = rest.start + at + 1;
    let is_digest = own[at + 1..].starts_with("sha256:");
    let (name, password) = match user.split_once(':') {
        Some((name, password)) => (name, Some(password)),
        None => (user, None),
    };
    let is_ssh = scheme.is_some_and(|scheme| scheme.contains("ssh"));
    let mut add = |place: Range<usize>, is_sure| {
        let text = &text[place.clone()];
        if !text.is_empty() && text != MASK {
            parts.push(Part { place, is_sure });
        }
    };
    let whole = rest.start..rest.start + at;
    match (scheme, password) {
        // `git@host:path@x`, or the digest of an image.
        (None, None) => {}
        (None, Some(_)) if is_digest || name.contains('@') || name.is_empty() => {}
        (Some(_), None) if is_ssh => {}
        (Some(_), None) => add(whole, may_be_token(name)),
        (_, Some("" | NO_PASSWORD)) if !is_ssh => add(rest.start..rest.start + name.len(), true),
        (_, Some(_)) => {
            if may_be_token(name) && !is_ssh {
                add(rest.start..rest.start + name.len(), true);
            }
            add(rest.start + name.len() + 1..rest.start + at, true);
        }
    }
    host
}

/// Adds the values of secret parameters after `?` or `#`.
fn add_parameters(text: &str, rest: Range<usize>, parts: &mut Vec<Part>) {
    let mut at = rest.start;
    for (index, parameter) in text[rest].split(['?', '#', '&', ';']).enumerate() {
        let name = parameter.split('=').next().unwrap_or_default();
        let lower = name.to_ascii_lowercase();
        let value = at + name.len() + 1..at + parameter.len();
        // The first part is the path.
        let is_secret = index > 0 && SECRET_PARAMETERS.iter().any(|own| lower.contains(own));
        if is_secret && value.start < value.end && text[value.clone()] != *MASK {
            parts.push(Part {
                place: value,
                is_sure: true,
            });
        }
        at += parameter.len() + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn possible_secrets_in_an_address_are_masked() {
        let token = "0123456789abcdef0123456789abcdef01234567";
        for (text, expected) in [
            (
                "fatal: 'https://me:pa@ss@git.example/x' and http://git.example/y",
                "fatal: 'https://me:REDACTED@git.example/x' and http://git.example/y",
            ),
            ("http://TOKEN@host/x", "http://REDACTED@host/x"),
            ("https://TOKEN:@host/x", "https://REDACTED:@host/x"),
            (
                "https://TOKEN:x-oauth-basic@host/x",
                "https://REDACTED:x-oauth-basic@host/x",
            ),
            (
                &format!("https://{token}:x@git.example/x"),
                "https://REDACTED:REDACTED@git.example/x",
            ),
            ("https://:hunter2@host", "https://:REDACTED@host"),
            ("https://me:hun/ter2@host/x", "https://me:REDACTED@host/x"),
            ("https://me:hun?ter2@host/x", "https://me:REDACTED@host/x"),
            ("ssh://git@host:22/x", "ssh://git@host:22/x"),
            ("ssh://git:hunter2@host/x", "ssh://git:REDACTED@host/x"),
            ("git@host:org/x@v1", "git@host:org/x@v1"),
            ("me:SECRET@host:8080/x.git", "me:REDACTED@host:8080/x.git"),
            (
                "socks5://me:x@proxy:1080",
                "socks5://me:REDACTED@proxy:1080",
            ),
            (
                "--git-config=url.https://t0ken@git.example/.insteadOf:https://git.example/",
                "--git-config=url.https://REDACTED@git.example/.insteadOf:https://git.example/",
            ),
            (
                "https://git.example/x?access_token=abc/info/refs?service=y",
                "https://git.example/x?access_token=REDACTED?service=y",
            ),
            (
                "https://git.example/x?a=1&private_token=abc&b=2#id_token=x",
                "https://git.example/x?a=1&private_token=REDACTED&b=2#id_token=REDACTED",
            ),
            (
                "https://git.example:8443/@scope/x?service=git-upload-pack",
                "https://git.example:8443/@scope/x?service=git-upload-pack",
            ),
            ("nginx:1.29@sha256:0123", "nginx:1.29@sha256:0123"),
            ("/srv/a:b@c", "/srv/a:b@c"),
            (
                "--repo=https:/me:SECRET@host/x",
                "--repo=https:/me:REDACTED@host/x",
            ),
            ("https//me:SECRET@host/x", "https//me:REDACTED@host/x"),
            ("'//me:SECRET@host/x'", "'//me:REDACTED@host/x'"),
            ("https:/TOKEN@host/x", "https:/REDACTED@host/x"),
            ("http/a:b@c", "http/a:b@c"),
            (
                "GITSYNC_PERIOD: \"ghp_0123456789abcdefghij\": expected",
                "GITSYNC_PERIOD: \"REDACTED\": expected",
            ),
            ("refs/heads/ghp_x", "refs/heads/ghp_x"),
            ("12:30 @noon, a: b@c", "12:30 @noon, a: b@c"),
        ] {
            assert_eq!(mask_addresses(text), expected, "{text}");
            assert_eq!(mask_addresses(expected), expected, "{text}");
        }
    }

    #[test]
    fn address_secrets_include_tokens_and_exclude_user_names() {
        for (text, expected) in [
            ("https://acme@git.example/acme", &[][..]),
            ("https://me:pw%21@git.example/x", &["pw%21"]),
            (
                "https://ghp_0123456789abcdefghij@git.example/x?token=t",
                &["ghp_0123456789abcdefghij", "t"],
            ),
        ] {
            assert_eq!(address_secrets(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn masking_is_total_and_idempotent(
            text in "([a-z:/@?=&.'\" ü]|://|token){0,24}",
        ) {
            let masked = mask_addresses(&text);
            prop_assert_eq!(mask_addresses(&masked), masked);
        }
    }
}
