use std::fmt;
use std::str;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::error::Unspecified;
use ring::hmac;
use ring::rand::SecureRandom;
use ring::rand::SystemRandom;

/// The number of values that are valid at a time: the present one, and another during a rotation.
const MOST_VALUES: usize = 2;

/// The prefix of a signing token of Standard Webhooks; the key follows in base64.
const SIGNING_TOKEN: &str = "whsec_";

/// The number of bytes of a random secret.
const RANDOM_BYTES: usize = 32;

/// A webhook secret, as typed into a git host's settings: one value, or two during a rotation.
///
/// `Debug` shows no value.
#[derive(Clone)]
pub struct PushSecret(Vec<SecretValue>);

/// One value, in the forms that the schemes use.
#[derive(Clone)]
pub(crate) struct SecretValue {
    text: String,
    /// The key of HMAC schemes: the text itself.
    pub(crate) key: hmac::Key,
    /// The key of Standard Webhooks, if the text is a signing token.
    pub(crate) signing_key: Option<hmac::Key>,
}

/// Error of parsing a [`PushSecret`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a push secret: one line of text, or two lines during a rotation")]
pub struct ParsePushSecretError;

impl PushSecret {
    /// Parses the content of a file: one value per line, without the spaces around it.
    pub fn parse(content: &[u8]) -> Result<Self, ParsePushSecretError> {
        let text = str::from_utf8(content).map_err(|_| ParsePushSecretError)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let values: Vec<_> = lines.map(SecretValue::new).collect();
        match values.len() {
            1..=MOST_VALUES => Ok(Self(values)),
            _ => Err(ParsePushSecretError),
        }
    }

    /// A random secret that no sender has. Deliveries without a secret of their own are checked with
    /// it, so that a response does not show which names exist. It fails only if the system has no
    /// random numbers.
    pub fn random() -> Result<Self, Unspecified> {
        let mut bytes = [0; RANDOM_BYTES];
        SystemRandom::new().fill(&mut bytes)?;
        let text = format!("{SIGNING_TOKEN}{}", STANDARD.encode(bytes));
        Ok(Self(vec![SecretValue::new(&text)]))
    }

    pub(crate) fn values(&self) -> &[SecretValue] {
        &self.0
    }

    /// Whether a text that a sender presents is one of the values, in constant time.
    pub(crate) fn is_value(&self, presented: &[u8]) -> bool {
        let mut values = self.0.iter();
        values.any(|value| are_equal(value.text.as_bytes(), presented))
    }
}

impl SecretValue {
    fn new(text: &str) -> Self {
        let key = |bytes: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let token = text.strip_prefix(SIGNING_TOKEN);
        let token = token.and_then(|token| STANDARD.decode(token).ok());
        Self {
            text: text.to_owned(),
            key: key(text.as_bytes()),
            signing_key: token
                .filter(|token| !token.is_empty())
                .map(|token| key(&token)),
        }
    }
}

impl fmt::Debug for PushSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PushSecret(REDACTED)")
    }
}

/// Compares two texts of any length; the time does not depend on where they differ: ring compares
/// their HMACs in constant time.
pub(crate) fn are_equal(one: &[u8], other: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"");
    hmac::verify(&key, one, hmac::sign(&key, other).as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_one_value_or_two() {
        let parse = |text: &str| PushSecret::parse(text.as_bytes());
        let one = parse("  hunter2 \r\n\n").unwrap();
        assert!(one.is_value(b"hunter2"));
        for text in ["", "hunter", "hunter22", " hunter2"] {
            assert!(!one.is_value(text.as_bytes()), "{text}");
        }
        let two = parse("new\nold\n").unwrap();
        assert!(two.is_value(b"new") && two.is_value(b"old") && !two.is_value(b"new\nold"));
        for text in ["", " \n", "a\nb\nc"] {
            assert_eq!(parse(text).unwrap_err(), ParsePushSecretError, "{text:?}");
        }
        assert!(PushSecret::parse(b"\xff").is_err());
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = PushSecret::parse(b"hunter2").unwrap();
        assert_eq!(format!("{secret:?}"), "PushSecret(REDACTED)");
    }

    #[test]
    fn a_random_secret_is_not_guessed() {
        let (one, other) = (PushSecret::random().unwrap(), PushSecret::random().unwrap());
        let text = other.0[0].text.clone();
        assert!(!one.is_value(text.as_bytes()) && other.is_value(text.as_bytes()));
        assert!(one.0[0].signing_key.is_some());
    }
}
