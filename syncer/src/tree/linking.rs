//! Hard links to the files of another tree.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::AtFlags;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::linkat;
use rustix::fs::mkdirat;
use rustix::fs::open;
use rustix::fs::openat;
use rustix::fs::statat;
use rustix::fs::unlinkat;
use rustix::io::Errno;

use crate::system::crash;
use crate::tree::manifest::Entry;
use crate::tree::manifest::FileStamp;

/// The result of linking.
#[derive(Debug, Default)]
pub(super) struct Linked {
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

/// Links all files except the changed ones into another tree, whose directories are created. A file
/// whose metadata differs from its entry is missing in the result: someone has changed it. So is one
/// that the file system does not link.
pub(super) fn link_files(
    from: &Path,
    to: &Path,
    entries: &[Entry],
    changed: &HashSet<PathBuf>,
) -> io::Result<Linked> {
    let mut linked = Linked::default();
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
        let is_made = if entry.stamp.is_dir() {
            make_dir(&pair.to, name)?;
            true
        } else {
            pair.link(name, &entry.stamp)?
        };
        if is_made {
            linked.entries.push(entry.clone());
        } else {
            linked.missing.push(entry.path.clone());
        }
    }
    Ok(linked)
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
    /// Links a file; returns whether the link is a file with this metadata. It is read after the
    /// link was made, so that it is that of the linked file, whatever has happened to the name.
    fn link(&self, name: &OsStr, expected: &FileStamp) -> io::Result<bool> {
        let Some(from) = &self.from else {
            return Ok(false);
        };
        crash::step();
        if linkat(from, name, &self.to, name, AtFlags::empty()).is_err() {
            // Absent, too many links, another user's, or a file system without links.
            return Ok(false);
        }
        let found = statat(&self.to, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileStamp::of(&found) == *expected {
            return Ok(true);
        }
        unlinkat(&self.to, name, AtFlags::empty())?;
        Ok(false)
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
        let linked = link_files(&from, &to, manifest.entries(), &changed).unwrap();
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
