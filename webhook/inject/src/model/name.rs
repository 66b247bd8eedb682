use std::fmt;
use std::str::FromStr;

use args::is_label;

/// The NAME of `gitvolume.dev/NAME.KEY`: identifies a repository in its Pod, and becomes part of
/// the names of volumes, directories and metrics.
///
/// A DNS label that is short enough for all of them.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Name(String);

/// The name of a volume is a label of at most 63 characters, and those of added volumes need a
/// prefix and a suffix.
const LONGEST: usize = 40;

impl Name {
    /// The grammar, as the object of "expected".
    pub const GRAMMAR: &'static str =
        "a name of at most 40 lowercase letters, digits and inner hyphens, such as site";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels_of_limited_length() {
        for text in ["site", "a", "1-x", &"a".repeat(40)] {
            assert!(text.parse::<Name>().is_ok(), "{text}");
        }
        for text in ["", "Site", "-a", "a-", "a.b", "ü", &"a".repeat(41)] {
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
    }
}
