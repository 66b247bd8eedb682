//! The entries of a tree that the syncer has created, and those of others, which it never replaces.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::system::files;
use crate::tree::manifest::Manifest;

/// The entries of a tree that are the syncer's.
pub(super) enum Known {
    /// The entries of the manifest, and their directories.
    Paths(HashSet<PathBuf>),
    /// The manifest is unreadable: any entry may be the syncer's.
    Lost,
}

impl Known {
    /// Reads the manifest of the tree; a tree without one has no entry of the syncer.
    pub(super) fn read(manifest: &Path) -> Self {
        match Manifest::read_any(manifest) {
            Some(found) => {
                let paths = found.entries().iter();
                let paths = paths.flat_map(|entry| entry.path.ancestors().map(Path::to_owned));
                Self::Paths(paths.collect())
            }
            None if manifest.exists() => Self::Lost,
            None => Self::Paths(HashSet::new()),
        }
    }

    fn has(&self, path: &Path) -> bool {
        match self {
            Self::Paths(paths) => paths.contains(path),
            Self::Lost => true,
        }
    }

    /// An entry of the tree that is not the syncer's and prevents that a file, or an empty directory,
    /// is moved to this path.
    pub(super) fn in_the_way(
        &self,
        tree: &Path,
        path: &Path,
        is_dir: bool,
    ) -> io::Result<Option<PathBuf>> {
        let mut parents: Vec<&Path> = path.ancestors().skip(1).collect();
        parents.pop();
        for parent in parents.into_iter().rev() {
            match kind(&tree.join(parent))? {
                Some(true) => {}
                Some(false) if !self.has(parent) => return Ok(Some(tree.join(parent))),
                Some(false) | None => return Ok(None),
            }
        }
        match kind(&tree.join(path))? {
            None => Ok(None),
            Some(true) if is_dir => Ok(None),
            Some(true) => self.foreign_below(tree, path),
            Some(false) => Ok((!self.has(path)).then(|| tree.join(path))),
        }
    }

    /// A file in a directory that is not the syncer's.
    fn foreign_below(&self, tree: &Path, dir: &Path) -> io::Result<Option<PathBuf>> {
        let mut dirs = vec![dir.to_owned()];
        while let Some(dir) = dirs.pop() {
            for name in files::names_in(&tree.join(&dir))? {
                let path = dir.join(name);
                if !self.has(&path) {
                    return Ok(Some(tree.join(path)));
                }
                if kind(&tree.join(&path))? == Some(true) {
                    dirs.push(path);
                }
            }
        }
        Ok(None)
    }
}

/// Whether an entry is a directory; `None` if it does not exist.
fn kind(path: &Path) -> io::Result<Option<bool>> {
    let found = files::absent_is_none(fs::symlink_metadata(path))?;
    Ok(found.map(|found| found.is_dir()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_entries_of_others_are_in_the_way() {
        let world = tempfile::tempdir().unwrap();
        let tree = world.path().join("tree");
        let manifest = world.path().join("manifest");
        let make = |name: &str| {
            let path = tree.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        make("ours/a");
        make("mixed/a");
        let commit = "0123456789012345678901234567890123456789".parse().unwrap();
        let found = Manifest::of_tree(0, &tree).unwrap();
        found.write(&manifest, &commit).unwrap();
        make("mixed/b");
        make("theirs");
        make("their-dir/a");
        let known = Known::read(&manifest);
        for (path, expected) in [
            ("ours", None),
            ("ours/a", None),
            ("ours/a/b", None),
            ("new", None),
            ("mixed", Some("mixed/b")),
            ("mixed/a", None),
            ("mixed/b", Some("mixed/b")),
            ("theirs", Some("theirs")),
            ("theirs/a", Some("theirs")),
            ("their-dir/b", None),
            ("their-dir", Some("their-dir/a")),
        ] {
            let found = known.in_the_way(&tree, Path::new(path), false).unwrap();
            assert_eq!(found, expected.map(|path| tree.join(path)), "{path}");
        }
        assert_eq!(
            known.in_the_way(&tree, Path::new("mixed"), true).unwrap(),
            None
        );
        fs::write(&manifest, "").unwrap();
        let known = Known::read(&manifest);
        assert_eq!(
            known.in_the_way(&tree, Path::new("theirs"), false).unwrap(),
            None
        );
        let known = Known::read(&world.path().join("none"));
        assert!(
            known
                .in_the_way(&tree, Path::new("ours/a"), false)
                .unwrap()
                .is_some()
        );
    }
}
