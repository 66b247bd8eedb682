//! What in a text is a secret because of where it stands in an address.

use std::ops::Range;

use crate::user_info::may_be_token;

/// What stands in a secret's place.
pub const MASK: &str = "REDACTED";

/// What GitHub accepts as the password of a token that stands in the user's place.
const NO_PASSWORD: &str = "x-oauth-basic";

/// A parameter whose name has one of these in it holds a secret: `access_token`, `private_token`,
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

/// Part of an address that is, or may be, a secret.
struct Part {
    place: Range<usize>,
    /// It is a secret wherever it stands; else it may be a user's name, and is masked here only.
    is_sure: bool,
}

/// Masks what is, or may be, a secret in the addresses of a text: passwords, a lone user of http(s),
/// which may be a token, and parameters such as `access_token`. Masking twice changes nothing.
pub fn mask_addresses(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for Part { place, .. } in parts(text) {
        out.push_str(&text[end..place.start]);
        out.push_str(MASK);
        end = place.end;
    }
    out.push_str(&text[end..]);
    out
}

/// The secrets in the addresses of a text, as they are written there (percent-encoded).
pub fn address_secrets(text: &str) -> Vec<String> {
    let sure = parts(text).into_iter().filter(|part| part.is_sure);
    sure.map(|part| text[part.place].to_owned()).collect()
}

/// Finds the parts, in their order.
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
        let path = add_user(text, word.clone(), None, parts);
        return add_parameters(text, path..word.end, parts);
    };
    let before = &text[word.start..word.start + at];
    let scheme = before[scheme_of(before)..].to_ascii_lowercase();
    let authority = word.start + at + SEPARATOR.len();
    // One address may stand in another: `url.https://me:x@git.example/.insteadOf=https://…`.
    let rest = &text[authority..word.end];
    let next = rest.find(SEPARATOR).map(|at| scheme_of(&rest[..at]));
    let next = next.map_or(word.end, |at| authority + at);
    let path = add_user(text, authority..next, Some(&scheme), parts);
    add_parameters(text, path..next, parts);
    if next < word.end {
        add_word(text, next..word.end, parts);
    }
}

/// Where the scheme begins that a text ends with.
fn scheme_of(text: &str) -> usize {
    let is_own = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    text.trim_end_matches(is_own).len()
}

/// Adds what stands before the host; gives where the host begins.
fn add_user(text: &str, rest: Range<usize>, scheme: Option<&str>, parts: &mut Vec<Part>) -> usize {
    let own = &text[rest.clone()];
    let end = own.find('/').unwrap_or(own.len());
    let end = match own[..end].split_once(':') {
        // No port, so the slash is a password's.
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
        // git@host:path@x, and the digest of an image.
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

/// Adds the values of parameters, after `?` or `#`, that hold secrets.
fn add_parameters(text: &str, rest: Range<usize>, parts: &mut Vec<Part>) {
    let mut at = rest.start;
    for (index, parameter) in text[rest].split(['?', '#', '&', ';']).enumerate() {
        let name = parameter.split('=').next().unwrap_or_default();
        let lower = name.to_ascii_lowercase();
        let value = at + name.len() + 1..at + parameter.len();
        // The first one is the path.
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
    fn what_may_be_a_secret_in_an_address_is_masked() {
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
            ("12:30 @noon, a: b@c", "12:30 @noon, a: b@c"),
        ] {
            assert_eq!(mask_addresses(text), expected, "{text}");
            assert_eq!(mask_addresses(expected), expected, "{text}");
        }
    }

    #[test]
    fn a_name_is_no_secret_elsewhere_and_a_token_is() {
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
        fn every_text_is_masked_and_a_second_time_changes_nothing(
            text in "([a-z:/@?=&.'\" ü]|://|token){0,24}",
        ) {
            let masked = mask_addresses(&text);
            prop_assert_eq!(mask_addresses(&masked), masked);
        }
    }
}
