use std::fmt;
use std::str::FromStr;

use crate::Name;

/// A path in a container's file system: absolute, normalised, not the root, no colon.
///
/// Stricter than the API server, which accepts relative paths and paths with `..` and leaves their
/// meaning to the container runtime.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MountPath(String);

/// Linux' own limits, of a path and of each name in it (limits.h: `PATH_MAX`, `NAME_MAX`).
const LONGEST: usize = 4095;

impl MountPath {
    /// The path as a container spec takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The default mount path of a repository: `/git`, or `/git/NAME`.
    pub(crate) fn default_for(name: Option<&Name>) -> Self {
        Self(match name {
            None => "/git".to_owned(),
            Some(name) => format!("/git/{name}"),
        })
    }

    /// Whether a path is below this one.
    pub(crate) fn is_above(&self, path: &str) -> bool {
        let rest = path.strip_prefix(&self.0);
        rest.is_some_and(|rest| rest.starts_with('/') && rest.len() > 1)
    }
}

impl FromStr for MountPath {
    type Err = ();

    /// Accepts one trailing slash and drops it: two mounts that differ only in it are at the same
    /// path.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = text.strip_suffix('/').unwrap_or(text);
        let relative = path.strip_prefix('/').ok_or(())?;
        let bad_name = |name: &str| name.is_empty() || name == "." || name == "..";
        let bad_char = |c: char| c.is_control() || c == ':';
        let is_long = path.len() > LONGEST || relative.split('/').any(|name| name.len() > 255);
        if relative.split('/').any(bad_name) || path.contains(bad_char) || is_long {
            Err(())
        } else {
            Ok(Self(path.to_owned()))
        }
    }
}

impl fmt::Display for MountPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_paths_are_read() {
        for (text, path) in [
            ("/git", "/git"),
            ("/usr/share/nginx/html/", "/usr/share/nginx/html"),
            ("/a b/..data", "/a b/..data"),
        ] {
            let read = text.parse::<MountPath>().unwrap();
            assert_eq!(read.as_str(), path);
            assert_eq!(read.to_string().parse(), Ok(read));
        }
    }

    #[test]
    fn invalid_mount_paths_are_refused() {
        for text in [
            "", "/", "//", "git", "./git", "../git", "/a/../b", "/a/./b", "/a//b", "//a", "/a//",
            "/a:b", "/a\n", "/..",
        ] {
            assert_eq!(text.parse::<MountPath>(), Err(()), "{text:?}");
        }
    }
}
