//! The names of the projected layout's trees.

use std::ffi::OsStr;
use std::fmt;
use std::path::Component;
use std::path::Path;

use crate::git::Hash;

/// The name of a tree: the commit, and a number if it was recreated while published.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct TreeName {
    pub(super) commit: Hash,
    pub(super) copy: u32,
}

impl TreeName {
    /// Parses the target of the link: a tree's directory, or a path inside it.
    pub(super) fn of_link(target: &Path) -> Option<Self> {
        let mut parts = target.components();
        let name = Self::of_dir(parts.next()?.as_os_str())?;
        let is_name = |part| matches!(part, Component::Normal(_));
        parts.all(is_name).then_some(name)
    }

    /// Parses the name of a tree's directory: two dots and the tree's name.
    pub(super) fn of_dir(dir: &OsStr) -> Option<Self> {
        let name = dir.to_str()?.strip_prefix("..")?;
        let (commit, copy) = match name.split_once('-') {
            Some((commit, copy)) => (commit, copy.parse().ok().filter(|&copy| copy > 0)?),
            None => (name, 0),
        };
        let commit = commit.parse().ok()?;
        Some(Self { commit, copy })
    }
}

impl fmt::Display for TreeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.commit)?;
        if self.copy > 0 {
            write!(f, "-{}", self.copy)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_syncers_names_are_trees() {
        let commit = "0123456789012345678901234567890123456789";
        for name in [format!("..{commit}"), format!("..{commit}-2")] {
            let read = TreeName::of_dir(OsStr::new(&name)).unwrap();
            assert_eq!(format!("..{read}"), name);
        }
        for name in [
            "..data",
            "..",
            commit,
            "..0123",
            "..2026_11_21_06_00_00.1234",
        ] {
            assert_eq!(TreeName::of_dir(OsStr::new(name)), None, "{name}");
        }
    }

    #[test]
    fn the_link_leads_to_a_tree_or_into_one() {
        let tree = "..0123456789012345678901234567890123456789-2";
        for target in [tree.to_owned(), format!("{tree}/a/b")] {
            let name = TreeName::of_link(Path::new(&target)).unwrap();
            assert_eq!(format!("..{name}"), tree);
        }
        for target in [format!("{tree}/../x"), format!("/{tree}"), "a".to_owned()] {
            assert_eq!(TreeName::of_link(Path::new(&target)), None, "{target}");
        }
    }
}
