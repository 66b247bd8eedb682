//! Redaction: keeps secrets out of every text that leaves the process.
//!
//! A registry holds the secrets in use. Each has an owner: [`HiddenSecrets`] lives as long as its
//! credentials; a configured secret lives as long as the process ([`hide_for_good`]). A secret is
//! found literally, escaped or percent-encoded ([`spelling`]), and in base64.

mod spelling;

use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::LazyLock;
use std::sync::PoisonError;
use std::sync::RwLock;

use args::MASK;
use args::mask_addresses;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::percent_decode_str;

/// Shorter secrets are not searched for: redaction would hide unrelated words and protect nothing.
const SHORTEST: usize = 4;

/// The same for base64, whose alphabet includes that of hashes.
const SHORTEST_BASE64: usize = 6;

/// A shorter line of a multi-line secret may occur elsewhere too.
const SHORTEST_LINE: usize = 16;

// The process has one log, and every text on its way there passes here, whatever its source.
static REGISTRY: LazyLock<RwLock<Registry>> = LazyLock::new(RwLock::default);

/// The texts to search for, by their first byte.
type Registry = HashMap<u8, Vec<Form>>;

/// One form of a secret.
struct Form {
    text: String,
    is_base64: bool,
    /// The number of its owners.
    owners: usize,
}

/// Secrets that [`redact`] masks while this value lives.
#[derive(Default)]
pub(crate) struct HiddenSecrets(Vec<String>);

impl HiddenSecrets {
    /// Adds a secret.
    pub(crate) fn add(&mut self, secret: &str) {
        self.0.extend(register(secret));
    }
}

impl Drop for HiddenSecrets {
    fn drop(&mut self) {
        let mut registry = REGISTRY.write().unwrap_or_else(PoisonError::into_inner);
        for text in &self.0 {
            disown(&mut registry, text);
        }
    }
}

/// Masks a secret as long as the process lives.
pub(crate) fn hide_for_good(secret: &str) {
    // Its owner is never dropped.
    register(secret);
}

/// Masks the secrets in a repository's flags as long as the process lives; those in addresses are
/// percent-encoded.
pub(crate) fn hide_flags(args: &args::RepoArgs) {
    for secret in args.secrets() {
        hide_encoded(&secret);
    }
}

fn hide_encoded(secret: &str) {
    hide_for_good(secret);
    hide_for_good(&percent_decode_str(secret).decode_utf8_lossy());
}

/// Masks the secrets in the addresses of the environment, such as a proxy's password, as long as
/// the process lives.
pub(crate) fn hide_environment(variables: impl IntoIterator<Item = (OsString, OsString)>) {
    for (_, value) in variables {
        let secrets = args::address_secrets(&value.to_string_lossy());
        secrets.iter().for_each(|secret| hide_encoded(secret));
    }
}

/// Replaces the known secrets, and possible secrets in addresses, by `REDACTED`.
pub(crate) fn redact(text: &str) -> String {
    let registry = REGISTRY.read().unwrap_or_else(PoisonError::into_inner);
    mask_addresses(&mask_known(&registry, text))
}

fn mask_known(registry: &Registry, text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let found = spelling::read(rest)
            .filter_map(|(first, _)| registry.get(&first))
            .flatten()
            .filter_map(|form| Some((spelling::length_of(rest, form.text.as_bytes())?, form)))
            .max_by_key(|(length, _)| *length);
        let Some((length, form)) = found else {
            out.push(bytes[at]);
            at += 1;
            continue;
        };
        at += length;
        if form.is_base64 {
            // The letters at both ends share bits with the neighbouring text.
            while out.last().copied().is_some_and(is_base64) {
                out.pop();
            }
            while bytes.get(at).copied().is_some_and(is_base64) {
                at += 1;
            }
        }
        out.extend(MASK.bytes());
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'_')
}

/// Every form of a secret: itself, each long line of it, and its base64 at any offset in the
/// encoded text.
fn forms(secret: &str) -> Vec<(String, bool)> {
    let secret = secret.trim();
    if secret.len() < SHORTEST {
        return Vec::new();
    }
    let mut forms = vec![(secret.to_owned(), false)];
    if secret.contains('\n') {
        let lines = secret.lines().map(str::trim);
        let lines = lines.filter(|line| line.len() >= SHORTEST_LINE && !line.starts_with("-----"));
        forms.extend(lines.map(|line| (line.to_owned(), false)));
        return forms;
    }
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        for before in 0..3 {
            let mut bytes = vec![0; before];
            bytes.extend(secret.bytes());
            let encoded = engine.encode(&bytes);
            // Without the letters that share bits with the text before and after.
            let core = &encoded[(before * 8).div_ceil(6)..bytes.len() * 8 / 6];
            let is_known = forms.iter().any(|(known, _)| known == core);
            if core.len() >= SHORTEST_BASE64 && !is_known {
                forms.push((core.to_owned(), true));
            }
        }
    }
    forms
}

/// Adds an owner to a secret and returns its registered forms.
fn register(secret: &str) -> Vec<String> {
    let mut registry = REGISTRY.write().unwrap_or_else(PoisonError::into_inner);
    let mut registered = Vec::new();
    for (text, is_base64) in forms(secret) {
        let first = text.bytes().next().unwrap_or_default();
        let forms = registry.entry(first).or_default();
        match forms.iter_mut().find(|form| form.text == text) {
            Some(form) => form.owners += 1,
            None => forms.push(Form {
                text: text.clone(),
                is_base64,
                owners: 1,
            }),
        }
        registered.push(text);
    }
    registered
}

fn disown(registry: &mut Registry, text: &str) {
    let first = text.bytes().next().unwrap_or_default();
    let Some(forms) = registry.get_mut(&first) else {
        return;
    };
    if let Some(index) = forms.iter().position(|form| form.text == text) {
        forms[index].owners -= 1;
        if forms[index].owners == 0 {
            forms.swap_remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each test uses different secrets, since the registry is shared by the process.
    fn hidden(secrets: &[&str]) -> HiddenSecrets {
        let mut hidden = HiddenSecrets::default();
        secrets.iter().for_each(|secret| hidden.add(secret));
        hidden
    }

    #[test]
    fn a_secret_is_masked_until_its_last_owner_is_dropped() {
        let first = hidden(&["correct horse"]);
        let second = hidden(&["correct horse", "x"]);
        drop(first);
        assert_eq!(redact("a correct horse x"), "a REDACTED x");
        drop(second);
        assert_eq!(redact("a correct horse x"), "a correct horse x");
    }

    #[test]
    fn no_number_of_later_secrets_makes_one_known() {
        let _hidden = hidden(&["static-password"]);
        for n in 0..5000 {
            hidden(&[&format!("later-{n:04}")]);
        }
        assert_eq!(redact("static-password later-0001"), "REDACTED later-0001");
        hide_for_good("configured-password");
        assert_eq!(redact("configured-password"), "REDACTED");
    }

    #[test]
    fn the_longer_of_two_secrets_is_masked() {
        let _hidden = hidden(&["swordfish", "swordfish-2026", "fish-2026-b"]);
        assert_eq!(redact("swordfish-2026."), "REDACTED.");
        assert_eq!(redact("swordfish-2027."), "REDACTED-2027.");
    }

    #[test]
    fn no_spelling_of_a_secret_hides_it() {
        let secret = "p\"a\\s/s w:ö\trd";
        let _hidden = hidden(&[secret]);
        let debug = format!("{secret:?}");
        let json = serde_json::json!(secret).to_string();
        let all = percent_encoding::NON_ALPHANUMERIC;
        let percent = percent_encoding::utf8_percent_encode(secret, all).to_string();
        let form = percent.replace("%20", "+");
        let octal = debug.replace('ö', "\\303\\266");
        for text in [
            secret,
            &debug,
            &json,
            &percent,
            &percent.to_lowercase(),
            &form,
            &octal,
        ] {
            let shown = redact(&format!("<{text}>"));
            assert!(
                matches!(&*shown, "<REDACTED>" | "<\"REDACTED\">"),
                "{text}: {shown}"
            );
        }
    }

    #[test]
    fn base64_of_a_secret_hides_it_neither() {
        let _hidden = hidden(&["hunter2-hunter2"]);
        for text in [
            "hunter2-hunter2",
            "me:hunter2-hunter2",
            "git:hunter2-hunter2\n",
        ] {
            for encoded in [STANDARD_NO_PAD.encode(text), URL_SAFE_NO_PAD.encode(text)] {
                let shown = redact(&format!("Authorization: Basic {encoded}== x"));
                assert_eq!(shown, "Authorization: Basic REDACTED== x", "{text}");
            }
        }
    }

    #[test]
    fn each_line_of_a_key_is_masked_and_the_text_around_it_is_not() {
        let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC";
        let _hidden = hidden(&[&format!(
            "-----BEGIN KEY-----\n{line}\nAB==\n-----END KEY-----\n"
        )]);
        assert_eq!(redact(&format!("key: {line}!")), "key: REDACTED!");
        let whole = format!("-----BEGIN KEY-----\\n{line}\\nAB==\\n-----END KEY-----");
        assert_eq!(redact(&whole), "REDACTED");
        assert_eq!(redact("-----BEGIN KEY-----"), "-----BEGIN KEY-----");
    }
}
