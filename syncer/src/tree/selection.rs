//! The selection of a commit's files for the checkout.

use std::path::Path;
use std::sync::Arc;

use args::Subdir;
use args::Submodules;
use serde::Deserialize;
use serde::Serialize;

use crate::lfs::Lfs;

/// The selection of a commit's files; a tree's marker stores it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Selection {
    pub(crate) submodules: Submodules,
    /// The patterns that select files; `None` selects all.
    pub(crate) sparse: Option<String>,
    /// The published subdirectory; `None` in the marker of an older syncer.
    #[serde(default)]
    pub(crate) subdir: Option<Subdir>,
    /// Whether Git LFS pointers are replaced.
    #[serde(default)]
    pub(crate) lfs: bool,
    /// Whether those of submodules are; `false` in the marker of an older syncer.
    #[serde(default)]
    pub(crate) lfs_in_submodules: bool,
}

impl Selection {
    /// Whether a tree has all files of its commit, as git writes them; otherwise only its index knows
    /// which files are left out.
    pub(crate) fn is_of_commit_alone(&self) -> bool {
        self.sparse.is_none() && !self.lfs
    }

    /// Whether only a subdirectory of the tree is wanted.
    pub(crate) fn is_subdir_alone(&self) -> bool {
        self.subdir
            .as_ref()
            .is_some_and(|subdir| self.sparse == Some(patterns_of(subdir)))
    }

    /// Whether the path of a file or a submodule is selected; `None` if only git can tell.
    pub(crate) fn includes(&self, path: &Path) -> Option<bool> {
        match (&self.sparse, &self.subdir) {
            (None, _) => Some(true),
            (Some(_), Some(subdir)) if self.is_subdir_alone() => {
                let subdir = subdir.as_path();
                Some(path.starts_with(subdir) || subdir.starts_with(path))
            }
            (Some(_), _) => None,
        }
    }
}

/// The settings of a checkout.
#[derive(Clone, Debug)]
pub(crate) struct Checkout {
    pub(crate) selection: Selection,
    /// The depth of a submodule's history; zero fetches all of it.
    pub(crate) depth: u32,
    /// Replaces Git LFS pointers; `None` without LFS, and while only the selection is needed.
    pub(crate) lfs: Option<Arc<Lfs>>,
    pub(crate) unchanged: UnchangedFiles,
}

/// How a new revision gets the files that it has in common with the previous one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum UnchangedFiles {
    /// git writes them again: their content depends on more than the commit.
    Written,
    /// By hard links: no consumer writes to them.
    Linked,
    /// As files of its own that share their blocks on the disk, where the file system can do that.
    Cloned,
    /// They stay where they are: there is one tree.
    Kept,
}

/// The patterns that select a directory with its content, and nothing else.
///
/// Each parent is selected as well, without its other content: if one of them is a submodule, the
/// directory may be inside it, and a file or a symlink can be distinguished from a missing path.
pub(crate) fn patterns_of(subdir: &Subdir) -> String {
    let mut patterns = String::new();
    let mut path = String::new();
    for name in subdir.names() {
        if !path.is_empty() {
            patterns.push_str(&format!("!{path}/*\n"));
        }
        path.push('/');
        for c in name.chars() {
            if matches!(c, '\\' | '*' | '?' | '[' | ' ') {
                path.push('\\');
            }
            path.push(c);
        }
        patterns.push_str(&format!("{path}\n"));
    }
    patterns
}
