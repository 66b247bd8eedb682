//! Keeps secrets out of every text that leaves the process.

use std::sync::PoisonError;
use std::sync::RwLock;

/// How many secrets are remembered: the present ones of all repositories and those they replaced,
/// whose use may still be reported by a command that was started before.
const REMEMBERED: usize = 1024;

/// Shorter texts are not searched for: they would blacken unrelated words and protect nothing.
const SHORTEST: usize = 4;

const MASK: &str = "REDACTED";

// The process has one log, and every text on its way there passes here, whoever wrote it.
static SECRETS: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// Remembers a secret, so that [`redact`] finds it from now on.
pub(crate) fn hide(secret: &str) {
    if secret.len() < SHORTEST {
        return;
    }
    let mut secrets = SECRETS.write().unwrap_or_else(PoisonError::into_inner);
    if secrets.iter().any(|known| known == secret) {
        return;
    }
    if secrets.len() == REMEMBERED {
        secrets.remove(0);
    }
    secrets.push(secret.to_owned());
}

/// Replaces the known secrets, and the passwords in addresses, by `REDACTED`.
pub(crate) fn redact(text: &str) -> String {
    let mut text = mask_addresses(text);
    for secret in SECRETS
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .iter()
    {
        if text.contains(secret.as_str()) {
            text = text.replace(secret.as_str(), MASK);
        }
    }
    text
}

/// Masks the password of each `scheme://user:password@host` in a text.
fn mask_addresses(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + 3);
        out.push_str(before);
        let end = after
            .find(|c: char| c == '/' || c.is_whitespace() || "'\"<>".contains(c))
            .unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        match authority.rsplit_once('@').and_then(|(user, host)| {
            let (user, _) = user.split_once(':')?;
            Some((user, host))
        }) {
            Some((user, host)) => {
                out.push_str(user);
                out.push(':');
                out.push_str(MASK);
                out.push('@');
                out.push_str(host);
            }
            None => out.push_str(authority),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_masked() {
        assert_eq!(
            redact("fatal: 'https://me:pa@ss@git.example/x' and http://git.example/y"),
            "fatal: 'https://me:REDACTED@git.example/x' and http://git.example/y"
        );
    }

    #[test]
    fn a_known_secret_is_masked_wherever_it_stands() {
        hide("correct horse");
        assert_eq!(redact("a correct horse b"), "a REDACTED b");
    }
}
