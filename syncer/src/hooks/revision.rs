//! The revision that a hook is run for.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::git::Git;
use crate::git::Hash;
use crate::tree::Tree;

/// The revision that a hook is run for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Revision {
    pub(crate) commit: Hash,
    /// The published commit before the first tree that the hook ran for.
    pub(crate) before: Option<Hash>,
    pub(crate) dir: PathBuf,
    /// The variables of a program in addition to the syncer's own.
    pub(crate) environment: Vec<(OsString, OsString)>,
}

impl Revision {
    pub(crate) fn of(git: &Git, tree: &Tree, old: Option<&Tree>) -> Self {
        let before = old.map(|old| &old.commit);
        Self {
            commit: tree.commit.clone(),
            before: before.filter(|before| **before != tree.commit).cloned(),
            dir: tree.shown.clone(),
            environment: git.environment_of_hooks(),
        }
    }
}
