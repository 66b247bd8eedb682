use std::fmt;
use std::path::Component;
use std::path::Path;
use std::str::FromStr;

use crate::text::serde_by_text;

/// The name of the symlink that publishes a tree in the `link` layout, relative to the root or
/// absolute, as git-sync's `--link`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link(String);

/// Says why a text is not a [`Link`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a name such as current, or a path without ..")]
pub struct ParseLinkError;

impl Link {
    /// The path as typed.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// Tells whether the link stays inside the root it is relative to.
    pub fn is_relative(&self) -> bool {
        self.as_path().is_relative()
    }
}

impl FromStr for Link {
    type Err = ParseLinkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut names = 0;
        for component in Path::new(text).components() {
            match component {
                Component::Normal(_) => names += 1,
                Component::RootDir | Component::CurDir => {}
                Component::ParentDir | Component::Prefix(_) => return Err(ParseLinkError),
            }
        }
        let refused = names == 0 || text.ends_with('/') || text.contains(|c: char| c.is_control());
        if refused {
            Err(ParseLinkError)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_by_text!(shown Link, |value| value.to_string());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_are_read() {
        for text in ["html", "a/b", "/srv/html", "site.git"] {
            assert_eq!(
                text.parse::<Link>().map(|link| link.to_string()),
                Ok(text.to_owned())
            );
        }
    }

    #[test]
    fn paths_that_name_nothing_or_climb_are_refused() {
        for text in ["", ".", "/", "..", "a/../b", "a/", "a\n"] {
            assert_eq!(text.parse::<Link>(), Err(ParseLinkError), "{text:?}");
        }
    }
}
