use std::fmt;
use std::str::FromStr;

/// A full commit hash: 40 hexadecimal digits (SHA-1) or 64 (SHA-256).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Hash(String);

/// Says that a text is not a commit hash.
#[derive(Debug, thiserror::Error)]
#[error("expected a full commit hash")]
pub(crate) struct ParseHashError;

impl Hash {
    /// The digits.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Hash {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if matches!(text.len(), 40 | 64) && text.bytes().all(is_digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseHashError)
        }
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
