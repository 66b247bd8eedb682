//! The creation of a tree of the link layout in a scratch directory, and its move into place.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::CWD;
use rustix::fs::RenameFlags;
use rustix::fs::renameat_with;
use rustix::io::Errno;

use crate::system::crash;
use crate::system::files;
use crate::tree::Tree;
use crate::tree::submodules;

/// The prefix of a tree that is being created.
pub(super) const SCRATCH: &str = ".new-";

/// The suffix of a tree that is being replaced.
const OLD: &str = "-old";

/// The git configuration of a tree with sparse-checkout patterns.
const SPARSE_CONFIG: &str = "[core]\n\tsparseCheckout = true\n\tsparseCheckoutCone = false\n";

/// The content of a tree's `.git`: a relative path, so that the root can be mounted anywhere.
pub(super) fn gitlink(tree: &Tree) -> String {
    format!("gitdir: ../../.git/worktrees/{}\n", tree.commit)
}

/// Creates git's admin directory (gitrepository-layout, `worktrees/`) by hand: `git worktree add`
/// selects its name itself, and would show the tree before it is complete.
pub(super) fn begin(worktrees: &Path, tree: &Tree, is_sparse: bool) -> io::Result<PathBuf> {
    files::make_dir(&tree.git_dir)?;
    for (name, content) in [
        ("HEAD", format!("{}\n", tree.commit)),
        ("commondir", "../..\n".to_owned()),
        ("gitdir", format!("{}/.git\n", tree.dir.display())),
    ] {
        files::write_atomic(
            &tree.git_dir.join(name),
            content.as_bytes(),
            files::PLAIN_MODE,
        )?;
    }
    // Consumers' git must know why files are missing.
    let own_config = tree.git_dir.join("config.worktree");
    if is_sparse {
        files::write_atomic(&own_config, SPARSE_CONFIG.as_bytes(), files::PLAIN_MODE)?;
    } else {
        files::remove_any(&own_config)?;
    }
    let scratch = worktrees.join(format!("{SCRATCH}{}", tree.commit));
    files::remove_any(&scratch)?;
    files::make_dir(&scratch)?;
    Ok(scratch)
}

/// Moves a finished tree into place. Consumers of an old tree there keep it or get the new one;
/// until this moment the old one was complete and marked.
pub(super) fn put_in_place(tree: &Tree, scratch: &Path, index: &Path) -> io::Result<()> {
    crash::step();
    fs::write(scratch.join(".git"), gitlink(tree))?;
    files::remove_any(&tree.marker)?;
    files::rename(index, &tree.index)?;
    submodules::follow_move(&tree.git_dir, scratch, &tree.dir)?;
    if fs::symlink_metadata(&tree.dir).is_err() {
        return files::rename(scratch, &tree.dir);
    }
    crash::step();
    let exchanged = renameat_with(CWD, scratch, CWD, &tree.dir, RenameFlags::EXCHANGE);
    let old = match exchanged {
        Ok(()) => scratch.to_owned(),
        Err(error) if cannot_exchange(error) => replace(scratch, &tree.dir)?,
        Err(error) => return Err(error.into()),
    };
    // The new tree is in place: the next preparation removes the rest of the old one.
    if let Err(error) = files::remove_any(&old) {
        let reason = error.to_string();
        tracing::info!(reason, tree = %old.display(), "cannot remove the old tree");
    }
    Ok(())
}

/// Whether the file system or the kernel cannot exchange two names. Every other error concerns
/// these two directories, and a rename would fail too.
fn cannot_exchange(error: Errno) -> bool {
    [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP].contains(&error)
}

/// Replaces a tree by two renames, with a moment without any tree in between. Returns the path of
/// the old one, which is moved back if the second rename fails.
fn replace(scratch: &Path, dir: &Path) -> io::Result<PathBuf> {
    let mut old = scratch.as_os_str().to_owned();
    old.push(OLD);
    let old = PathBuf::from(old);
    files::remove_any(&old)?;
    files::rename(dir, &old)?;
    match files::rename(scratch, dir) {
        Ok(()) => Ok(old),
        Err(error) => {
            files::rename(&old, dir)?;
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_exchange_never_costs_the_published_tree() {
        for error in [
            Errno::BUSY,
            Errno::ACCESS,
            Errno::PERM,
            Errno::NOSPC,
            Errno::IO,
            Errno::XDEV,
        ] {
            assert!(!cannot_exchange(error), "{error}");
        }
        for error in [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP] {
            assert!(cannot_exchange(error), "{error}");
        }
        let world = tempfile::tempdir().unwrap();
        let path = |name: &str| world.path().join(name);
        fs::create_dir_all(path("dir/old")).unwrap();
        assert!(replace(&path("absent"), &path("dir")).is_err());
        assert!(path("dir/old").is_dir(), "it is back");
        fs::create_dir_all(path(".new-x/new")).unwrap();
        let old = replace(&path(".new-x"), &path("dir")).unwrap();
        assert!(old.join("old").is_dir() && path("dir/new").is_dir());
    }
}
