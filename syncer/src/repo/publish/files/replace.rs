//! The replacement of a tree's files by staged ones, path by path.
//!
//! Every step can be repeated, so that a change that was interrupted is finished by the same call.
//! Directories are opened one by one without following symlinks: a consumer that can write could
//! have replaced one by a symlink.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::AtFlags;
use rustix::fs::CWD;
use rustix::fs::Dir;
use rustix::fs::FileType;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::RenameFlags;
use rustix::fs::fchmod;
use rustix::fs::fstat;
use rustix::fs::openat;
use rustix::fs::renameat;
use rustix::fs::renameat_with;
use rustix::fs::statat;
use rustix::fs::unlinkat;
use rustix::io::Errno;

use crate::system::crash;
use crate::tree::manifest::Manifest;

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// The bits of a mode that the umask decides, and those that a directory has from its parent.
const PERMISSIONS: u32 = 0o7777;

/// The paths of the tree after the change.
struct Wanted<'a> {
    /// Files, symlinks, and empty directories.
    entries: HashSet<&'a Path>,
    /// All directories.
    dirs: HashSet<&'a Path>,
}

impl<'a> Wanted<'a> {
    fn new(after: &'a Manifest) -> Self {
        let entries = after.entries().iter();
        let dirs = after.entries().iter().flat_map(|entry| {
            let own = entry.stamp.is_dir().then_some(&*entry.path);
            own.into_iter().chain(entry.path.ancestors().skip(1))
        });
        Self {
            entries: entries.map(|entry| &*entry.path).collect(),
            dirs: dirs.collect(),
        }
    }

    /// Whether a staged entry is of the new revision. A file that was exchanged with a directory, or
    /// the reverse, has the other one's place among the staged files.
    fn has(&self, path: &Path, is_dir: bool) -> bool {
        let is_wanted_dir = self.dirs.contains(path);
        is_dir == is_wanted_dir && (is_dir || self.entries.contains(path))
    }
}

/// Moves all staged files into the tree, then removes the files that only the tree before had. A
/// directory that still contains other files stays.
pub(super) fn replace(
    staged: &Path,
    tree: &Path,
    before: Option<&Manifest>,
    after: &Manifest,
) -> io::Result<()> {
    let tree = openat(CWD, tree, DIRECTORY, Mode::empty())?;
    let wanted = Wanted::new(after);
    match openat(CWD, staged, DIRECTORY, Mode::empty()) {
        Ok(staged) => place(&staged, &tree, Path::new(""), &wanted)?,
        // Everything was moved already.
        Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let before = before.map(Manifest::entries).unwrap_or_default();
    for entry in before {
        if !wanted.entries.contains(&*entry.path) {
            remove(&tree, &entry.path)?;
        }
    }
    Ok(())
}

/// Moves the entries of a staged directory into a directory of the tree. A missing one is moved as
/// a whole; an existing one is kept and filled.
fn place(staged: &OwnedFd, tree: &OwnedFd, dir: &Path, wanted: &Wanted<'_>) -> io::Result<()> {
    let permissions = |dir: &OwnedFd| fstat(dir).map(|stat| stat.st_mode & PERMISSIONS);
    let (mode, found) = (permissions(staged)?, permissions(tree)?);
    if mode != found {
        crash::step();
        match fchmod(tree, Mode::from_raw_mode(mode)) {
            // It belongs to another user, as after a change of the syncer's.
            Ok(()) | Err(Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    for name in names(staged)? {
        let path = dir.join(&name);
        match (is_dir(staged, &name)?, is_dir(tree, &name)?) {
            (Some(is_dir), _) if !wanted.has(&path, is_dir) => {}
            (Some(true), Some(true)) => {
                let staged = openat(staged, &name, DIRECTORY, Mode::empty())?;
                let tree = openat(tree, &name, DIRECTORY, Mode::empty())?;
                place(&staged, &tree, &path, wanted)?;
            }
            (Some(one), Some(other)) if one != other => {
                // No rename replaces one by the other. The old one is removed with the staged files:
                // it was checked before the change that a directory contains no other files.
                crash::step();
                renameat_with(staged, &name, tree, &name, RenameFlags::EXCHANGE)?;
            }
            (Some(_), _) => {
                crash::step();
                renameat(staged, &name, tree, &name)?;
            }
            (None, _) => {}
        }
    }
    Ok(())
}

/// Whether an entry is a directory; `None` if it does not exist.
fn is_dir(dir: &OwnedFd, name: &OsStr) -> io::Result<Option<bool>> {
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(
            FileType::from_raw_mode(stat.st_mode) == FileType::Directory,
        )),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Removes a file, and its directories if they are empty then.
fn remove(tree: &OwnedFd, path: &Path) -> io::Result<()> {
    let mut dirs: Vec<OwnedFd> = vec![openat(tree, ".", DIRECTORY, Mode::empty())?];
    let mut names: Vec<&OsStr> = path.iter().collect();
    let Some(last) = names.pop() else {
        return Ok(());
    };
    for name in &names {
        match openat(&dirs[dirs.len() - 1], *name, DIRECTORY, Mode::empty()) {
            Ok(dir) => dirs.push(dir),
            // An interrupted change has removed it, or the new revision or a consumer has something
            // else here.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let parent = &dirs[dirs.len() - 1];
    if dirs.len() == names.len() + 1 {
        match is_dir(parent, last)? {
            Some(true) => {
                remove_empty(parent, last);
            }
            Some(false) => {
                crash::step();
                unlinkat(parent, last, AtFlags::empty())?;
            }
            None => {}
        }
    }
    // The opened ones, the innermost first.
    for (dir, name) in dirs.iter().zip(&names).take(dirs.len() - 1).rev() {
        if !remove_empty(dir, name) {
            break;
        }
    }
    Ok(())
}

/// Removes a directory if it is empty; returns whether it did.
fn remove_empty(dir: &OwnedFd, name: &OsStr) -> bool {
    crash::step();
    unlinkat(dir, name, AtFlags::REMOVEDIR).is_ok()
}

fn names(dir: &OwnedFd) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn make(dir: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn each_kind_of_entry_replaces_each_other_kind_and_other_files_stay() {
        let world = tempfile::tempdir().unwrap();
        let (staged, tree) = (world.path().join("staged"), world.path().join("tree"));
        let old = [
            ("same", "1"),
            ("changed", "1"),
            ("file-to-dir", "1"),
            ("dir-to-file/a/b", "1"),
            ("gone/a/b", "1"),
            ("gone-but/a", "1"),
            ("link-to-file", "1"),
        ];
        make(&tree, &old);
        let before = Manifest::of_tree(0, &tree).unwrap();
        make(&tree, &[("gone-but/own", "x"), ("own", "x")]);
        let new = [
            ("changed", "2"),
            ("file-to-dir/a", "2"),
            ("dir-to-file", "2"),
            ("new/a/b", "2"),
        ];
        make(&staged, &new);
        symlink("same", staged.join("link-to-file")).unwrap();
        let after = world.path().join("after");
        make(&after, &new);
        make(&after, &[("same", "1"), ("link-to-file", "")]);
        let after = Manifest::of_tree(0, &after).unwrap();
        // The second call is that of a start after a crash.
        for _ in 0..2 {
            replace(&staged, &tree, Some(&before), &after).unwrap();
            let found = Manifest::of_tree(0, &tree).unwrap();
            let paths: Vec<&str> = found
                .entries()
                .iter()
                .map(|entry| entry.path.to_str().unwrap())
                .collect();
            let expected = [
                "changed",
                "dir-to-file",
                "file-to-dir/a",
                "gone-but/own",
                "link-to-file",
                "new/a/b",
                "own",
                "same",
            ];
            assert_eq!(paths, expected);
            assert_eq!(fs::read_to_string(tree.join("changed")).unwrap(), "2");
            assert!(tree.join("link-to-file").is_symlink());
        }
    }

    #[test]
    fn a_directory_that_became_a_symlink_is_replaced_and_never_followed() {
        let world = tempfile::tempdir().unwrap();
        let (staged, tree) = (world.path().join("staged"), world.path().join("tree"));
        let outside = world.path().join("outside");
        make(&tree, &[("d/a", "1"), ("e/b", "1")]);
        let before = Manifest::of_tree(0, &tree).unwrap();
        make(&outside, &[("a", "theirs"), ("b", "theirs")]);
        for dir in ["d", "e"] {
            fs::rename(tree.join(dir), world.path().join(dir)).unwrap();
            symlink(&outside, tree.join(dir)).unwrap();
        }
        make(&staged, &[("d/a", "2")]);
        let after = Manifest::of_tree(0, &staged).unwrap();
        replace(&staged, &tree, Some(&before), &after).unwrap();
        assert_eq!(fs::read_to_string(tree.join("d/a")).unwrap(), "2");
        for name in ["a", "b"] {
            let text = fs::read_to_string(outside.join(name)).unwrap();
            assert_eq!(text, "theirs");
        }
    }
}
