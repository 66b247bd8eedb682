use std::fmt;
use std::str::FromStr;

/// The NAME of `gitvolume.dev/NAME.KEY`: tells the repositories of a Pod apart, and becomes part of
/// the names of volumes, directories and metrics.
///
/// A DNS label that is short enough for all of those.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Name(String);

/// The name of a volume is a label of at most 63 characters, and ours have more in it than this.
const LONGEST: usize = 40;

impl Name {
    /// The grammar, as the object of "expected".
    pub const GRAMMAR: &'static str =
        "a name of at most 40 small letters, digits and inner hyphens, such as site";

    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() <= LONGEST && is_label(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(())
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Tells whether a text is a DNS label, of any length (RFC 1123).
pub(crate) fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|byte| inner(*byte))
        && bytes.last().is_some_and(|byte| inner(*byte))
        && bytes.iter().all(|byte| inner(*byte) || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels_of_bearable_length() {
        for text in ["site", "a", "1-x", &"a".repeat(40)] {
            assert!(text.parse::<Name>().is_ok(), "{text}");
        }
        for text in ["", "Site", "-a", "a-", "a.b", "ü", &"a".repeat(41)] {
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
    }
}
