use std::fmt;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;
use std::str::FromStr;

/// The path of the symlink that publishes a tree in the `link` layout, relative to the root or
/// absolute, as in git-sync's `--link`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link(String);

/// Error of parsing a [`Link`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a name such as current, or a path without ..")]
pub struct ParseLinkError;

impl Link {
    /// Parses the text of the flag. git-sync accepts any path, so this resolves `.`, `..` and a
    /// trailing slash; only a `..` that leaves the root remains.
    pub(crate) fn from_flag(text: &str) -> Result<Self, ParseLinkError> {
        let mut clean = PathBuf::new();
        let mut names = 0;
        for component in Path::new(text).components() {
            match component {
                Component::ParentDir if names > 0 => {
                    names -= 1;
                    clean.pop();
                }
                // `..` in the root directory is the root directory.
                Component::ParentDir if clean.is_absolute() => {}
                Component::Normal(_) => {
                    names += 1;
                    clean.push(component);
                }
                Component::CurDir => {}
                _ => clean.push(component),
            }
        }
        match clean.to_str() {
            Some(clean) if names > 0 && !clean.contains(char::is_control) => {
                Ok(Self(clean.to_owned()))
            }
            _ => Err(ParseLinkError),
        }
    }

    /// The path as typed.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// Whether the link is relative to the root.
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
    fn empty_paths_and_paths_with_dot_dot_are_refused() {
        for text in ["", ".", "/", "..", "a/../b", "a/", "a\n"] {
            assert_eq!(text.parse::<Link>(), Err(ParseLinkError), "{text:?}");
        }
    }

    #[test]
    fn a_flag_accepts_any_path_with_a_file_name() {
        for (text, link) in [
            ("html", "html"),
            ("html/", "html"),
            ("./a//b", "a/b"),
            ("a/../b", "b"),
            ("../x", "../x"),
            ("../../x/y/..", "../../x"),
            ("/../x", "/x"),
            ("site.git", "site.git"),
        ] {
            assert_eq!(
                Link::from_flag(text).map(|link| link.to_string()),
                Ok(link.to_owned())
            );
        }
        for text in ["", ".", "/", "..", "a/..", "../..", "a\n"] {
            assert_eq!(Link::from_flag(text), Err(ParseLinkError), "{text:?}");
        }
    }
}
