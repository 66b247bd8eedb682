use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use crate::values::text::serde_by_text;

/// A secret as typed: only [`Secret::reveal`] returns it, so it never reaches a log.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(REDACTED)")
    }
}

serde_by_text!(hidden Secret, |value| value.reveal());
