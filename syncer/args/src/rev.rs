use std::fmt;
use std::str::FromStr;

use crate::text::serde_by_text;

/// What to follow on the remote: a branch, a tag, a full commit hash, or `HEAD`.
///
/// The grammar is git's for ref names (<https://git-scm.com/docs/git-check-ref-format>), so the
/// text can be neither an option nor a refspec when it reaches `git fetch`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rev(String);

/// Says why a text is not a [`Rev`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a branch, a tag or a full commit hash such as main, v1.2.0 or refs/heads/main")]
pub struct ParseRevError;

impl Rev {
    /// The name as git takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The commit that a clone checks out: a [`Rev`], or an expression that names a commit once the whole
/// history is there, such as a short hash, `origin/main` or `main~3` (gitrevisions(7)).
///
/// Never an option.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Revision(String);

impl Revision {
    /// The text as git takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same as what can be followed on a remote, if it can.
    pub fn to_rev(&self) -> Result<Rev, ParseRevError> {
        self.0.parse()
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
        Self(rev.0)
    }
}

impl FromStr for Revision {
    type Err = ParseRevError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.starts_with(['-', '+']) || text.contains(char::is_control) {
            return Err(ParseRevError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_by_text!(shown Revision, |value| value.to_string());

impl Default for Rev {
    /// The remote's `HEAD`: its default branch, whatever its name.
    fn default() -> Self {
        Self("HEAD".to_owned())
    }
}

impl FromStr for Rev {
    type Err = ParseRevError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad_char = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
        let bad_component =
            |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock");
        let refused = text.starts_with(['-', '+'])
            || text.ends_with('.')
            || text == "@"
            || text.contains("..")
            || text.contains("@{")
            || text.contains(bad_char)
            || text.split('/').any(bad_component);
        if refused {
            Err(ParseRevError)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl fmt::Display for Rev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_by_text!(shown Rev, |value| value.to_string());

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
            assert_eq!(text.parse::<Revision>(), Err(ParseRevError), "{text:?}");
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
            assert_eq!(text.parse::<Rev>(), Err(ParseRevError), "{text:?}");
        }
    }
}
