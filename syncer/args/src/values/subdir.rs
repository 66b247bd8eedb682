use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::values::text::serde_by_text;

/// A directory inside a repository: names separated by single slashes, from its top down. `.`, `..`
/// and `.git` are not allowed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subdir(String);

/// Error of parsing a [`Subdir`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a relative path such as public, without .. or //")]
pub struct ParseSubdirError;

impl Subdir {
    /// The path, from the top of the repository.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// The components of the path.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl FromStr for Subdir {
    type Err = ParseSubdirError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = text.strip_suffix('/').unwrap_or(text);
        let is_bad = |name: &str| {
            name.is_empty() || name == "." || name == ".." || name.eq_ignore_ascii_case(".git")
        };
        if path.split('/').any(is_bad) || path.contains(char::is_control) {
            return Err(ParseSubdirError);
        }
        Ok(Self(path.to_owned()))
    }
}

impl fmt::Display for Subdir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_by_text!(shown Subdir, |value| value.to_string());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_are_read_without_a_slash_at_the_end() {
        for (text, path) in [
            ("public", "public"),
            ("a/b c/", "a/b c"),
            ("..a/.github", "..a/.github"),
        ] {
            assert_eq!(
                text.parse::<Subdir>().map(|subdir| subdir.to_string()),
                Ok(path.to_owned())
            );
        }
        let subdir: Subdir = "a/b".parse().unwrap();
        assert_eq!(subdir.names().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn empty_paths_and_paths_out_of_the_repository_are_refused() {
        for text in [
            "", ".", "/", "/a", "a//b", "a/./b", "../a", "a/..", ".git", "a/.GIT/b", "a\n",
        ] {
            assert_eq!(text.parse::<Subdir>(), Err(ParseSubdirError), "{text:?}");
        }
    }
}
