//! The places of submodules' repositories in that of a tree.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::system::files;

/// The directory of the repositories of a repository's submodules.
pub(crate) fn modules_of(git_dir: &Path) -> PathBuf {
    git_dir.join("modules")
}

/// The repository that a linked worktree's admin directory belongs to (gitrepository-layout,
/// `commondir`), or the repository itself.
pub(crate) fn common_dir(git_dir: &Path) -> io::Result<PathBuf> {
    let common = files::absent_is_none(fs::read_to_string(git_dir.join("commondir")))?;
    Ok(git_dir.join(common.as_deref().unwrap_or_default().trim()))
}
