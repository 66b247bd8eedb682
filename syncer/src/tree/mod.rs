//! The files of one commit: complete or absent.
//!
//! A marker beside the tree is removed first and written last. It holds the machine's boot id,
//! since git does not wait until files are on the disk: after a reboot a tree is compared with its
//! commit before it is trusted. It also holds the selection of files.

pub(crate) mod caveats;
pub(crate) mod checkout;
pub(crate) mod clone;
mod compare;
pub(crate) mod links;
pub(crate) mod manifest;
pub(crate) mod selection;
mod sharing;
pub(crate) mod submodules;
mod varint;

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::OnceLock;

use serde::Deserialize;
use serde::Serialize;

use crate::git::GitError;
use crate::git::GitSession;
use crate::git::Hash;
use crate::git::WorkTree;
use crate::lfs::LfsError;
use crate::system::files;
use crate::system::owner;
use crate::tree::manifest::Manifest;
use crate::tree::selection::Selection;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The reason why a tree could not be created or checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TreeError {
    #[error(transparent)]
    Git(#[from] GitError),
    /// An error of `git submodule update`, which contacts other remotes.
    #[error(transparent)]
    Submodules(GitError),
    #[error(transparent)]
    Lfs(#[from] LfsError),
    #[error("cannot write {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot read {} (--sparse-checkout-file)", .path.display())]
    Sparse { path: PathBuf, source: io::Error },
}

/// The paths of one commit's tree.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) commit: Hash,
    /// The commit's files.
    pub(crate) dir: PathBuf,
    /// The part that consumers see: all files, or a subdirectory.
    pub(crate) shown: PathBuf,
    /// The tree's git directory: the mirror, or an admin directory in it.
    pub(crate) git_dir: PathBuf,
    pub(crate) index: PathBuf,
    pub(crate) marker: PathBuf,
}

/// The marker's content.
#[derive(Debug, Deserialize, Serialize)]
struct Marker {
    boot: String,
    commit: String,
    /// `None` in the marker of an older syncer.
    #[serde(default)]
    selection: Option<Selection>,
}

/// The state of a tree by its marker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TreeState {
    /// Created or compared since the machine started, with the current selection.
    Complete,
    /// Complete, but with other submodules, patterns or subdirectory than the current selection.
    OtherSelection,
    /// Unknown until the files are compared.
    Unverified,
}

impl Tree {
    /// The tree as git's working tree.
    pub(crate) fn files<'a>(&'a self, git: GitSession<'a>) -> WorkTree<'a> {
        git.at(&self.git_dir).work_tree(&self.dir, &self.index)
    }

    /// The path of the tree's manifest.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.marker.with_extension("manifest")
    }

    /// Writes the manifest, or removes that of an earlier tree.
    pub(crate) async fn write_manifest(&self, manifest: Option<Manifest>) -> Result<(), TreeError> {
        let (path, commit) = (self.manifest(), self.commit.clone());
        let written = files::blocking(move || match manifest {
            Some(manifest) => manifest.write(&path, &commit),
            None => files::remove_any(&path),
        });
        written.await.map_err(|source| self.io(source))
    }

    /// Whether the files still have the metadata of the manifest; a tree without a manifest of this
    /// process is not.
    pub(crate) async fn is_as_written(&self) -> Result<bool, TreeError> {
        let tree = self.clone();
        let compared =
            files::blocking(
                move || match Manifest::read(&tree.manifest(), &tree.commit) {
                    Some(manifest) => manifest.matches(&tree.dir),
                    None => Ok(false),
                },
            );
        compared.await.map_err(|source| self.io(source))
    }

    /// Marks the tree complete.
    pub(crate) fn mark(&self, selection: &Selection) -> Result<(), TreeError> {
        let marker = self
            .marker_text(selection)
            .and_then(|text| files::write_atomic(&self.marker, text.as_bytes(), files::PLAIN_MODE));
        marker.map_err(|source| self.io(source))
    }

    /// The content of the marker of this tree if it were complete now.
    pub(crate) fn marker_text(&self, selection: &Selection) -> io::Result<String> {
        let marker = Marker {
            boot: boot_id()?.to_owned(),
            commit: self.commit.to_string(),
            selection: Some(selection.clone()),
        };
        Ok(serde_json::to_string(&marker)?)
    }

    /// Removes the mark, before the tree is changed or removed.
    pub(crate) fn unmark(&self) -> Result<(), TreeError> {
        files::remove_any(&self.marker).map_err(|source| self.io(source))
    }

    /// Reads the marker; no file of the tree is read.
    pub(crate) fn state(&self, selection: &Selection) -> TreeState {
        match read_marker(&self.dir, &self.marker) {
            Some(Marker {
                selection: Some(found),
                ..
            }) if found == *selection && self.shown.is_dir() => TreeState::Complete,
            Some(Marker {
                selection: Some(found),
                ..
            }) if found != *selection => TreeState::OtherSelection,
            _ => TreeState::Unverified,
        }
    }

    /// The same for a tree of another live syncer, which may run on another machine with another
    /// boot id.
    pub(crate) fn is_anothers(&self, selection: &Selection) -> bool {
        let marker = fs::read(&self.marker).ok();
        let marker = marker.and_then(|text| serde_json::from_slice::<Marker>(&text).ok());
        let is_whole = |marker: Marker| {
            let is_now = boot_id().is_ok_and(|boot| boot == marker.boot);
            marker.selection.as_ref() == Some(selection) && (is_now || owner::is_shared(&self.dir))
        };
        self.shown.is_dir() && marker.is_some_and(is_whole)
    }

    /// A file system error of this tree.
    pub(crate) fn io(&self, source: io::Error) -> TreeError {
        TreeError::Io {
            path: self.dir.clone(),
            source,
        }
    }
}

/// The commit in the content of a marker.
pub(crate) fn commit_of(marker: &[u8]) -> Option<Hash> {
    let marker: Marker = serde_json::from_slice(marker).ok()?;
    marker.commit.parse().ok()
}

/// The content of a marker, changed so that the tree must be compared with its commit.
pub(crate) fn unverified(marker: &str) -> io::Result<String> {
    let mut marker: Marker = serde_json::from_str(marker)?;
    marker.boot.clear();
    Ok(serde_json::to_string(&marker)?)
}

/// Whether a directory exists and its marker is of this boot.
pub(crate) fn is_whole(dir: &Path, marker: &Path) -> bool {
    read_marker(dir, marker).is_some()
}

fn read_marker(dir: &Path, marker: &Path) -> Option<Marker> {
    let marker: Marker = serde_json::from_slice(&fs::read(marker).ok()?).ok()?;
    (dir.is_dir() && marker.boot == boot_id().ok()?).then_some(marker)
}

/// The machine's boot id, which outlives the process.
fn boot_id() -> io::Result<&'static str> {
    static ID: OnceLock<String> = OnceLock::new();
    files::read_once(&ID, BOOT_ID)
}
