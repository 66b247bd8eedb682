//! The files of another tree in a new one: hard links to them, or files of its own with the same
//! blocks on the disk.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::AtFlags;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::ioctl_ficlone;
use rustix::fs::linkat;
use rustix::fs::mkdirat;
use rustix::fs::open;
use rustix::fs::openat;
use rustix::fs::readlinkat;
use rustix::fs::statat;
use rustix::fs::symlinkat;
use rustix::fs::unlinkat;
use rustix::io::Errno;

use crate::system::crash;
use crate::tree::manifest::Entry;
use crate::tree::manifest::FileStamp;

/// What a new tree has in common with another one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Share {
    /// Its files themselves.
    Links,
    /// The blocks of its files, until one of them is written to (ioctl_ficlone(2)).
    Blocks,
}

/// The result of sharing.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The entries that the new tree has now.
    pub(super) entries: Vec<Entry>,
    /// The paths that must be written.
    pub(super) missing: Vec<PathBuf>,
}

/// A directory of both trees. No component of its path is a symlink.
struct Pair {
    path: PathBuf,
    /// `None` if the old tree no longer has it.
    from: Option<OwnedFd>,
    to: OwnedFd,
}

/// Whether the file system of a directory lets two files share blocks.
pub(super) fn can_clone(dir: &Path) -> io::Result<bool> {
    let (old, new) = (tempfile::tempfile_in(dir)?, tempfile::tempfile_in(dir)?);
    Ok(ioctl_ficlone(&new, &old).is_ok())
}

/// Shares all files except the changed ones with another tree, whose directories are created. A file
/// whose metadata differs from its entry is missing in the result: someone has changed it. So is one
/// that the file system does not share.
pub(super) fn share_files(
    from: &Path,
    to: &Path,
    entries: &[Entry],
    changed: &HashSet<PathBuf>,
    how: Share,
) -> io::Result<Shared> {
    let mut shared = Shared::default();
    let mut dirs = vec![Pair {
        path: PathBuf::new(),
        from: Some(open(from, DIRECTORY, Mode::empty())?),
        to: open(to, DIRECTORY, Mode::empty())?,
    }];
    for entry in entries {
        if changed.contains(&entry.path) {
            continue;
        }
        let parent = entry.path.parent().unwrap_or(Path::new(""));
        let pair = enter(&mut dirs, parent)?;
        let name = entry.path.file_name().unwrap_or_default();
        let made = if entry.stamp.is_dir() {
            make_dir(&pair.to, name)?;
            Some(entry.stamp)
        } else {
            match how {
                Share::Links => pair.link(name, &entry.stamp)?,
                Share::Blocks => pair.clone(name, &entry.stamp)?,
            }
        };
        let path = entry.path.clone();
        match made {
            Some(stamp) => shared.entries.push(Entry { path, stamp }),
            None => shared.missing.push(path),
        }
    }
    Ok(shared)
}

const DIRECTORY: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Opens a directory of both trees, starting from the nearest open one.
fn enter<'a>(dirs: &'a mut Vec<Pair>, path: &Path) -> io::Result<&'a Pair> {
    while dirs.len() > 1
        && dirs
            .last()
            .is_some_and(|last| !path.starts_with(&last.path))
    {
        dirs.pop();
    }
    loop {
        // The first one is the top, which every path is below.
        let last = &dirs[dirs.len() - 1];
        let Ok(rest) = path.strip_prefix(&last.path) else {
            break;
        };
        let Some(name) = rest.iter().next() else {
            break;
        };
        make_dir(&last.to, name)?;
        let to = openat(&last.to, name, DIRECTORY, Mode::empty())?;
        let from = last
            .from
            .as_ref()
            .and_then(|from| openat(from, name, DIRECTORY, Mode::empty()).ok());
        let path = last.path.join(name);
        dirs.push(Pair { path, from, to });
    }
    Ok(&dirs[dirs.len() - 1])
}

/// Creates a directory as git does, subject to the umask, unless it exists.
fn make_dir(parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match mkdirat(parent, name, Mode::from_raw_mode(0o777)) {
        Ok(()) => crash::step(),
        Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

impl Pair {
    /// Links a file; `None` unless the link is a file with this metadata. It is read after the link
    /// was made, so that it is that of the linked file, whatever has happened to the name.
    fn link(&self, name: &OsStr, expected: &FileStamp) -> io::Result<Option<FileStamp>> {
        let Some(from) = &self.from else {
            return Ok(None);
        };
        crash::step();
        if linkat(from, name, &self.to, name, AtFlags::empty()).is_err() {
            // Absent, too many links, another user's, or a file system without links.
            return Ok(None);
        }
        let found = statat(&self.to, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileStamp::of(&found).is_same(expected) {
            return Ok(Some(*expected));
        }
        unlinkat(&self.to, name, AtFlags::empty())?;
        Ok(None)
    }

    /// Creates a file with the blocks of the old one, or an equal symlink, and returns its metadata.
    /// `None` unless the old one has this metadata before and afterwards. The change time counts, too:
    /// a consumer may have set the modification time back, and no hard link has changed it.
    fn clone(&self, name: &OsStr, expected: &FileStamp) -> io::Result<Option<FileStamp>> {
        let Some(from) = &self.from else {
            return Ok(None);
        };
        let is_untouched = || {
            let found = statat(from, name, AtFlags::SYMLINK_NOFOLLOW);
            found.is_ok_and(|found| FileStamp::of(&found).is_untouched(expected))
        };
        if !is_untouched() {
            return Ok(None);
        }
        crash::step();
        let is_made = if expected.is_symlink() {
            let target = readlinkat(from, name, Vec::new())?;
            symlinkat(target, &self.to, name)?;
            true
        } else {
            let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let Ok(old) = openat(from, name, read, Mode::empty()) else {
                // Removed, or not readable for this user.
                return Ok(None);
            };
            let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let new = openat(&self.to, name, create, expected.permissions())?;
            ioctl_ficlone(&new, &old).is_ok()
        };
        if is_made && is_untouched() {
            let found = statat(&self.to, name, AtFlags::SYMLINK_NOFOLLOW)?;
            return Ok(Some(FileStamp::of(&found)));
        }
        unlinkat(&self.to, name, AtFlags::empty())?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::manifest::Manifest;
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::fs::symlink;

    #[test]
    fn unchanged_files_are_linked_and_all_others_are_missing() {
        let world = tempfile::tempdir().unwrap();
        let (from, to) = (world.path().join("from"), world.path().join("to"));
        for dir in ["a/b", "c", "submodule", "moved"] {
            fs::create_dir_all(from.join(dir)).unwrap();
        }
        fs::create_dir(&to).unwrap();
        for file in ["a/b/1", "a/b/2", "a/3", "c/4", "moved/5", "top"] {
            fs::write(from.join(file), file).unwrap();
        }
        symlink("4", from.join("c/link")).unwrap();
        let manifest = Manifest::of_tree(0, &from).unwrap();
        fs::write(from.join("a/b/2"), "edited").unwrap();
        fs::write(from.join("untracked"), "x").unwrap();
        // A directory that leads elsewhere is not followed.
        fs::rename(from.join("moved"), world.path().join("elsewhere")).unwrap();
        symlink(world.path().join("elsewhere"), from.join("moved")).unwrap();
        let changed = HashSet::from([PathBuf::from("a/3")]);
        let linked = share_files(&from, &to, manifest.entries(), &changed, Share::Links).unwrap();
        assert_eq!(linked.missing, ["a/b/2", "moved/5"].map(PathBuf::from));
        let inode = |path: PathBuf| fs::symlink_metadata(path).unwrap().ino();
        for name in ["a/b/1", "c/4", "c/link", "top"] {
            assert_eq!(inode(from.join(name)), inode(to.join(name)), "{name}");
        }
        assert_eq!(linked.entries.len(), 5, "and the place of the submodule");
        assert!(to.join("submodule").is_dir());
        for name in ["a/3", "a/b/2", "untracked", "moved/5"] {
            assert!(!to.join(name).exists(), "{name}");
        }
    }
}
