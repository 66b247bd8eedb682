use std::fmt;
use std::str::FromStr;

/// A full commit hash: 40 hexadecimal digits (SHA-1) or 64 (SHA-256).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Hash(String);

/// The error for a text that is not a commit hash.
#[derive(Debug, thiserror::Error)]
#[error("expected a full commit hash")]
pub(crate) struct ParseHashError;

impl Hash {
    /// The hexadecimal digits.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The object format that the hash belongs to.
    pub(crate) fn format(&self) -> ObjectFormat {
        match self.0.len() {
            64 => ObjectFormat::Sha256,
            _ => ObjectFormat::Sha1,
        }
    }
}

/// The hash algorithm of a repository's objects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ObjectFormat {
    Sha1,
    Sha256,
}

impl ObjectFormat {
    /// The hash of no object, in git's notation.
    pub(crate) fn null(self) -> Hash {
        let length = match self {
            Self::Sha1 => 40,
            Self::Sha256 => 64,
        };
        Hash("0".repeat(length))
    }

    /// The format that a repository with another one does not have.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Sha1 => Self::Sha256,
            Self::Sha256 => Self::Sha1,
        }
    }
}

impl fmt::Display for ObjectFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        })
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
