use std::fmt;
use std::str::FromStr;

use args::GitDuration;
use args::Link;
use args::RepoUrl;
use args::Rev;

/// One repository a Pod asks for, with every default filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What to fetch.
    pub repo: RepoUrl,
    /// What of it to follow.
    pub rev: Rev,
    /// Where it appears in the containers.
    pub mount_path: MountPath,
    /// The symlink's name where the link layout is wanted; else the tree is at the path itself.
    pub link: Option<Link>,
    /// Whether it is followed.
    pub mode: Mode,
    /// How long to wait between checks of the remote.
    pub period: GitDuration,
    /// How many commits of history to fetch; 0 is all.
    pub depth: u32,
    /// The Secret with credentials, in the Pod's namespace.
    pub secret: Option<String>,
}

/// Whether a repository is followed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// Fetched before the app starts, by an init container that ends.
    Once,
    /// Fetched before the app starts and followed, by a sidecar.
    #[default]
    Sync,
}

/// What some source says about one repository: only what it says, so that sources can be laid over
/// each other field by field before the defaults come in.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fields {
    pub(crate) repo: Option<RepoUrl>,
    pub(crate) rev: Option<Rev>,
    pub(crate) mount_path: Option<MountPath>,
    pub(crate) link: Option<Link>,
    pub(crate) mode: Option<Mode>,
    pub(crate) period: Option<GitDuration>,
    pub(crate) depth: Option<u32>,
    pub(crate) secret: Option<String>,
}

/// What a Pod says once, for all its repositories.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PodWide {
    /// The containers that read the repositories; all where it is left out.
    pub(crate) containers: Option<Vec<String>>,
    pub(crate) inject: Option<bool>,
}

impl Fields {
    /// Fills the defaults in; `None` without a repository. The defaults are written in the table
    /// of annotations too, and a test holds them equal.
    pub(crate) fn resolve(self) -> Option<Request> {
        Some(Request {
            repo: self.repo?,
            rev: self.rev.unwrap_or_default(),
            mount_path: self.mount_path.unwrap_or_default(),
            link: self.link,
            mode: self.mode.unwrap_or_default(),
            period: self.period.unwrap_or(GitDuration::from_secs(10)),
            depth: self.depth.unwrap_or(1),
            secret: self.secret,
        })
    }
}

/// A place in a container's file system: absolute, normalised, not the root, no colon.
///
/// Stricter than the API server, which takes relative and climbing paths and leaves it to the
/// container runtime what they mean.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MountPath(String);

impl MountPath {
    /// The path as a container spec takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for MountPath {
    fn default() -> Self {
        Self("/git".to_owned())
    }
}

impl FromStr for MountPath {
    type Err = ();

    /// Takes one slash at the end for what it means; two mounts that differ only in it are the
    /// same place.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = text.strip_suffix('/').unwrap_or(text);
        let relative = path.strip_prefix('/').ok_or(())?;
        let bad_name = |name: &str| name.is_empty() || name == "." || name == "..";
        let bad_char = |c: char| c.is_control() || c == ':';
        if relative.split('/').any(bad_name) || path.contains(bad_char) {
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
    fn paths_that_climb_or_name_nothing_are_refused() {
        for text in [
            "", "/", "//", "git", "./git", "../git", "/a/../b", "/a/./b", "/a//b", "//a", "/a//",
            "/a:b", "/a\n", "/..",
        ] {
            assert_eq!(text.parse::<MountPath>(), Err(()), "{text:?}");
        }
    }
}
