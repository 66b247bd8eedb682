//! Contents by their hash, kept across revisions.
//!
//! `objects/aa/bb/OID` is a complete, verified content, as git-lfs has it; `incomplete/OID` is the
//! beginning of one, which a later attempt continues; `gitvolume-trees/COMMIT` lists the hashes that a tree
//! needs.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use crate::git::Hash;
use crate::lfs::LfsError;
use crate::lfs::PointerFile;
use crate::lfs::pointer::Oid;
use crate::lfs::pointer::Pointer;
use crate::system::crash;
use crate::system::files;

/// The directory of the lists. Without it another program created the store: a user's git-lfs.
const LISTS: &str = "gitvolume-trees";

/// The store in one directory.
#[derive(Clone, Debug)]
pub(super) struct Store {
    dir: PathBuf,
    /// Whether trees may have files in common: no consumer writes to them.
    has_links: bool,
}

impl Store {
    pub(super) fn new(dir: PathBuf, has_links: bool) -> Self {
        Self { dir, has_links }
    }

    fn object(&self, oid: &Oid) -> PathBuf {
        let text = oid.as_str();
        let dir = self.dir.join("objects").join(&text[..2]).join(&text[2..4]);
        dir.join(text)
    }

    fn incomplete(&self) -> PathBuf {
        self.dir.join("incomplete")
    }

    fn lists(&self) -> PathBuf {
        self.dir.join(LISTS)
    }

    /// Whether the syncer created the store.
    pub(super) fn is_own(&self) -> bool {
        self.lists().is_dir()
    }

    /// Whether the store has a content. One that a tree links to is verified: an edit in the tree
    /// would be in both.
    fn has(&self, pointer: &Pointer) -> io::Result<bool> {
        let object = self.object(&pointer.oid);
        let Some(found) = files::absent_is_none(fs::symlink_metadata(&object))? else {
            return Ok(false);
        };
        if found.nlink() > 1 && !pointer.is_of(&object)? {
            files::remove_any(&object)?;
            return Ok(false);
        }
        Ok(found.is_file() && found.len() == pointer.size)
    }

    pub(super) fn io(&self, source: io::Error) -> LfsError {
        LfsError::io(&self.dir, source)
    }

    /// Records the contents that a commit's tree needs, so that [`Store::sweep`] keeps them: those
    /// of its pointers, and those of the files that it has from the tree of `previous`.
    pub(super) async fn note(
        &self,
        commit: &Hash,
        tree: &Path,
        pointers: &[PointerFile],
        previous: Option<&Hash>,
    ) -> Result<(), LfsError> {
        let (store, tree, mut needed) = (self.clone(), tree.to_owned(), pointers.to_vec());
        let list = self.lists().join(commit.as_str());
        let before = previous.map(|previous| self.lists().join(previous.as_str()));
        let noted = files::blocking(move || {
            let new: BTreeSet<PathBuf> = needed.iter().map(|file| file.path.clone()).collect();
            let before = before.map(|list| read_list(&list)).transpose()?;
            let is_kept = |file: &PointerFile| {
                let found = fs::symlink_metadata(tree.join(&file.path));
                !new.contains(&file.path)
                    && found.is_ok_and(|found| found.is_file() && found.len() == file.pointer.size)
            };
            needed.extend(before.into_iter().flatten().filter(is_kept));
            if needed.is_empty() {
                return files::remove_any(&list);
            }
            files::make_dir(&store.lists())?;
            files::write_atomic(&list, &written_list(&needed), files::PLAIN_MODE)
        });
        noted.await.map_err(|source| self.io(source))
    }

    /// The files whose content is not in the store, one for each content.
    pub(super) async fn missing(
        &self,
        pointers: &[PointerFile],
    ) -> Result<Vec<PointerFile>, LfsError> {
        let (store, pointers) = (self.clone(), pointers.to_vec());
        let missing = files::blocking(move || {
            let mut seen = BTreeSet::new();
            let mut missing = Vec::new();
            for file in pointers {
                if seen.insert(file.pointer.oid.clone()) && !store.has(&file.pointer)? {
                    missing.push(file);
                }
            }
            Ok(missing)
        });
        missing.await.map_err(|source| self.io(source))
    }

    /// Opens the beginning of a content, or creates it.
    pub(super) fn open_incomplete(&self, oid: &Oid) -> io::Result<File> {
        files::make_dir(&self.incomplete())?;
        let path = self.incomplete().join(oid.as_str());
        let mut options = File::options();
        options.create(true).read(true).append(true).open(path)
    }

    /// The number of bytes that earlier attempts received.
    pub(super) fn incomplete_length(&self, oid: &Oid) -> u64 {
        let found = fs::metadata(self.incomplete().join(oid.as_str()));
        found.map_or(0, |found| found.len())
    }

    /// Removes the beginning of a content.
    pub(super) async fn discard(&self, oid: &Oid) -> io::Result<()> {
        files::remove_blocking(&self.incomplete().join(oid.as_str())).await
    }

    /// Moves a complete and verified content to its final place. It is on the disk first, since its
    /// hash is not checked again.
    pub(super) fn complete(&self, oid: &Oid, file: &File) -> io::Result<()> {
        file.sync_data()?;
        let object = self.object(oid);
        files::make_dir(object.parent().unwrap_or(&self.dir))?;
        files::rename(&self.incomplete().join(oid.as_str()), &object)
    }

    /// Replaces pointers in a tree by their contents, with the mode that git gave the file.
    pub(super) async fn place(
        &self,
        dir: &Path,
        pointers: Vec<PointerFile>,
    ) -> Result<(), LfsError> {
        let (store, tree) = (self.clone(), dir.to_owned());
        let placed = files::blocking(move || {
            for file in &pointers {
                store.place_one(&tree.join(&file.path), &file.pointer.oid)?;
            }
            Ok(())
        });
        placed.await.map_err(|source| LfsError::io(dir, source))
    }

    fn place_one(&self, path: &Path, oid: &Oid) -> io::Result<()> {
        let mode = fs::symlink_metadata(path)?.permissions();
        crash::step();
        // A new file: another tree may have a hard link to the pointer.
        let parent = path.parent().unwrap_or(Path::new("."));
        let copy = tempfile::Builder::new()
            .prefix(files::TEMPORARY)
            .tempfile_in(parent)?
            .into_temp_path();
        let object = self.object(oid);
        if !self.has_links || !linked(&object, &copy, mode.mode())? {
            // It clones the blocks where the file system can.
            fs::copy(&object, &copy)?;
            fs::set_permissions(&copy, mode)?;
        }
        copy.persist(path).map_err(|error| error.error)
    }

    /// Drops what no existing tree needs. `trees` are paths whose last component contains the
    /// tree's commit.
    pub(super) fn sweep(&self, trees: &[PathBuf]) -> io::Result<()> {
        let mut needed = BTreeSet::new();
        for name in files::names_in(&self.lists())? {
            let list = self.lists().join(&name);
            let is_of = |tree: &PathBuf| {
                let tree = tree.file_name().unwrap_or_default().to_string_lossy();
                tree.contains(&*name.to_string_lossy())
            };
            if trees.iter().any(is_of) {
                let files = read_list(&list)?.into_iter();
                needed.extend(files.map(|file| file.pointer.oid.to_string()));
            } else {
                files::remove_any(&list)?;
            }
        }
        let objects = self.dir.join("objects");
        let (mut dirs, mut dropped) = (vec![objects, self.incomplete()], 0);
        while let Some(dir) = dirs.pop() {
            for name in files::names_in(&dir)? {
                let path = dir.join(&name);
                if fs::symlink_metadata(&path)?.is_dir() {
                    dirs.push(path);
                } else if !needed.contains(&*name.to_string_lossy()) {
                    files::remove_any(&path)?;
                    dropped += 1;
                }
            }
        }
        if dropped > 0 {
            tracing::info!(v = 1, files = dropped, "dropped unneeded Git LFS content");
        }
        Ok(())
    }
}

/// Replaces an empty file by a link to a content with this mode; returns whether that was possible.
fn linked(object: &Path, path: &Path, mode: u32) -> io::Result<bool> {
    if fs::symlink_metadata(object)?.permissions().mode() != mode {
        return Ok(false);
    }
    fs::remove_file(path)?;
    // Another file system, or one without links.
    Ok(fs::hard_link(object, path).is_ok())
}

/// The list of a tree: `OID SIZE PATH<nul>` for each file.
fn written_list(files: &[PointerFile]) -> Vec<u8> {
    let mut list = Vec::new();
    for PointerFile { path, pointer } in files {
        list.extend_from_slice(format!("{} {} ", pointer.oid, pointer.size).as_bytes());
        list.extend_from_slice(path.as_os_str().as_bytes());
        list.push(0);
    }
    list
}

/// Reads the list of a tree; empty if it does not exist.
fn read_list(list: &Path) -> io::Result<Vec<PointerFile>> {
    let text = files::absent_is_none(fs::read(list))?.unwrap_or_default();
    let lines = text.split(|byte| *byte == 0);
    let files = lines.filter_map(|line| {
        let mut fields = line.splitn(3, |byte| *byte == b' ');
        let mut text = || std::str::from_utf8(fields.next()?).ok();
        let (oid, size) = (Oid::parse(text()?)?, text()?.parse().ok()?);
        let path = PathBuf::from(OsStr::from_bytes(fields.next()?));
        let pointer = Pointer { oid, size };
        Some(PointerFile { path, pointer })
    });
    Ok(files.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn only_contents_of_existing_trees_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().to_owned(), false);
        let commits = ["1", "2"].map(|digit| digit.repeat(40));
        let oids = ["a", "b", "c"].map(|digit| Oid::parse(&digit.repeat(64)).unwrap());
        fs::create_dir(store.lists()).unwrap();
        let list = |commit: &str, oids: &[&Oid]| {
            let file = |oid: &&Oid| PointerFile {
                path: format!("a\nb {oid}").into(),
                pointer: Pointer {
                    oid: Oid::clone(oid),
                    size: 7,
                },
            };
            let files: Vec<PointerFile> = oids.iter().map(file).collect();
            let path = store.lists().join(commit);
            fs::write(&path, written_list(&files)).unwrap();
            let read = read_list(&path).unwrap();
            assert_eq!(read[0].path, files[0].path);
        };
        list(&commits[0], &[&oids[0], &oids[1]]);
        list(&commits[1], &[&oids[1], &oids[2]]);
        for oid in &oids {
            let mut file = store.open_incomplete(oid).unwrap();
            file.write_all(b"content").unwrap();
            store.complete(oid, &file).unwrap();
            store.open_incomplete(oid).unwrap();
        }
        let tree = PathBuf::from(format!("/root/..{}-2", commits[1]));
        store.sweep(&[tree]).unwrap();
        let kept = oids.map(|oid| {
            (
                store.object(&oid).exists(),
                store.incomplete().join(oid.as_str()).exists(),
            )
        });
        assert_eq!(kept, [(false, false), (true, true), (true, true)]);
        assert_eq!(files::names_in(&store.lists()).unwrap(), [&*commits[1]]);
        store.sweep(&[]).unwrap();
        assert!(!store.object(&Oid::parse(&"b".repeat(64)).unwrap()).exists());
    }
}
