use std::fmt;
use std::str::FromStr;

use crate::values::version_range::ParseVersionRangeError;
use crate::values::version_range::VersionRange;

/// The prefix of a range of versions.
const RANGE: &str = "semver:";

/// The ref to follow on the remote: a branch, a tag, a full commit hash, `HEAD`, or `semver:RANGE`
/// for the highest tag in a range of versions.
///
/// The grammar of names is git's (<https://git-scm.com/docs/git-check-ref-format>), so a name can be
/// neither an option nor a refspec when it reaches `git fetch`. No name contains a colon.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rev {
    text: String,
    range: Option<VersionRange>,
}

/// Error of parsing a [`Rev`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseRevError {
    /// Neither a name nor a range.
    #[error(
        "expected a branch, a tag, a full commit hash or a range of version tags such as main, v1.2.0, refs/heads/main or semver:^1.2"
    )]
    Name,
    /// The range after `semver:` is invalid.
    #[error(transparent)]
    Range(#[from] ParseVersionRangeError),
}

impl Rev {
    /// The text: a name as git accepts it, or `semver:RANGE`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The range of versions; `None` for a name.
    pub fn range(&self) -> Option<&VersionRange> {
        self.range.as_ref()
    }
}

/// The commit that a clone checks out: a [`Rev`], or an expression that names a commit once the
/// whole history is fetched, such as a short hash, `origin/main` or `main~3` (gitrevisions(7)).
///
/// Never an option.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Revision(Rev);

impl Revision {
    /// The text as git accepts it, or `semver:RANGE`.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The range of versions; `None` for anything else.
    pub fn range(&self) -> Option<&VersionRange> {
        self.0.range()
    }

    /// The same as a [`Rev`], if a remote can resolve it.
    pub fn to_rev(&self) -> Result<Rev, ParseRevError> {
        self.as_str().parse()
    }
}

impl Default for Revision {
    /// The remote's `HEAD`, as for [`Rev`].
    fn default() -> Self {
        Rev::default().into()
    }
}

impl From<Rev> for Revision {
    fn from(rev: Rev) -> Self {
        Self(rev)
    }
}

/// The range of a text that begins with `semver:`. In git's grammar such an expression names a file,
/// never a commit.
fn range_of(text: &str) -> Result<Option<VersionRange>, ParseVersionRangeError> {
    let range = text.strip_prefix(RANGE);
    range.map(str::parse).transpose()
}

impl FromStr for Revision {
    type Err = ParseRevError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.starts_with(['-', '+']) || text.contains(char::is_control) {
            return Err(ParseRevError::Name);
        }
        Ok(Self(Rev {
            text: text.to_owned(),
            range: range_of(text)?,
        }))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Default for Rev {
    /// The remote's `HEAD`: its default branch, whatever its name.
    fn default() -> Self {
        Self {
            text: "HEAD".to_owned(),
            range: None,
        }
    }
}

impl FromStr for Rev {
    type Err = ParseRevError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let range = range_of(text)?;
        let bad_char = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
        let bad_component =
            |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock");
        let is_bad_name = text.starts_with(['-', '+'])
            || text.ends_with('.')
            || text == "@"
            || text.contains("..")
            || text.contains("@{")
            || text.contains(bad_char)
            || text.split('/').any(bad_component);
        if range.is_none() && is_bad_name {
            return Err(ParseRevError::Name);
        }
        Ok(Self {
            text: text.to_owned(),
            range,
        })
    }
}

impl fmt::Display for Rev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_git_allows_are_read() {
        for text in [
            "HEAD",
            "main",
            "refs/heads/main",
            "v1.2.0",
            "feature/a-b_c",
            "büro",
            "a@b",
        ] {
            assert_eq!(
                text.parse::<Rev>().map(|rev| rev.to_string()),
                Ok(text.to_owned())
            );
        }
    }

    #[test]
    fn a_revision_is_any_expression_but_no_option() {
        for text in [
            "main",
            "1f0e",
            "origin/main",
            "main~3",
            "HEAD@{1 day ago}",
            ":/fix",
        ] {
            let revision: Revision = text.parse().unwrap();
            assert_eq!(revision.to_string(), text);
            assert_eq!(revision.to_rev().is_ok(), text.parse::<Rev>().is_ok());
        }
        for text in ["", "-b", "--detach", "+main", "a\nb"] {
            assert_eq!(
                text.parse::<Revision>(),
                Err(ParseRevError::Name),
                "{text:?}"
            );
        }
    }

    #[test]
    fn options_refspecs_and_expressions_are_refused() {
        for text in [
            "",
            "-x",
            "--upload-pack=x",
            "+main",
            "a:b",
            "HEAD~1",
            "HEAD^",
            "a..b",
            "a b",
            "a//b",
            "/a",
            "a/",
            "x.lock",
            ".x",
            "a/.x",
            "@",
            "HEAD@{1}",
            "a\\b",
            "a*",
            "a\nb",
            "x.",
        ] {
            assert_eq!(text.parse::<Rev>(), Err(ParseRevError::Name), "{text:?}");
        }
    }

    #[test]
    fn a_range_of_versions_is_told_from_a_name_by_its_prefix() {
        for text in ["semver:^1.2", "semver:>=1.2 <2 || 3.x", "semver: *"] {
            let rev: Rev = text.parse().unwrap();
            assert_eq!(rev.to_string(), text);
            assert_eq!(rev.range().unwrap().as_str(), &text["semver:".len()..]);
            let revision: Revision = text.parse().unwrap();
            assert_eq!(Revision::from(rev), revision);
            assert!(revision.range().is_some());
        }
        assert_eq!("semver".parse::<Rev>().unwrap().range(), None);
        for text in ["semver:", "semver:main", "semver:^1.2 ||", "semver:a"] {
            let expected = ParseRevError::Range(ParseVersionRangeError);
            assert_eq!(text.parse::<Rev>(), Err(expected), "{text:?}");
            assert_eq!(text.parse::<Revision>(), Err(expected), "{text:?}");
        }
    }
}
