//! The files of one commit: whole or absent.
//!
//! A marker beside the tree is removed first and written last; it holds the machine's boot id, since
//! git does not wait until files are on the disk: after a reboot a tree is compared with its commit
//! before it is trusted. It also holds which of the commit's files were wanted.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::OnceLock;

use serde::Deserialize;
use serde::Serialize;

use crate::checkout::Selection;
use crate::files;
use crate::git::GitError;
use crate::git::Hash;
use crate::owner;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Says why a tree could not be made or checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TreeError {
    #[error(transparent)]
    Git(#[from] GitError),
    /// Of `git submodule update`, which contacts other remotes.
    #[error(transparent)]
    Submodules(GitError),
    #[error("cannot write {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot read {}, which --sparse-checkout-file names", .path.display())]
    Sparse { path: PathBuf, source: io::Error },
}

/// Where the parts of one commit's tree are.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) commit: Hash,
    /// The commit's files.
    pub(crate) dir: PathBuf,
    /// What readers see of them: all, or one directory.
    pub(crate) shown: PathBuf,
    /// What git calls the tree's repository: the mirror, or an admin directory in it.
    pub(crate) git_dir: PathBuf,
    pub(crate) index: PathBuf,
    pub(crate) marker: PathBuf,
}

/// The marker's content.
#[derive(Debug, Deserialize, Serialize)]
struct Marker {
    boot: String,
    commit: String,
    /// None in the marker of an older syncer.
    #[serde(default)]
    selection: Option<Selection>,
}

/// What a tree's marker says of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TreeState {
    /// Made, or compared, since the machine started, and as it is wanted now.
    Complete,
    /// Complete, but with other submodules, patterns or another directory than are wanted now.
    OtherSelection,
    /// Nothing is known before the files are compared.
    Unverified,
}

impl Tree {
    /// Declares the tree whole.
    pub(crate) fn mark(&self, selection: &Selection) -> Result<(), TreeError> {
        let marker = boot_id().and_then(|boot| {
            let json = serde_json::to_vec(&Marker {
                boot: boot.to_owned(),
                commit: self.commit.to_string(),
                selection: Some(selection.clone()),
            })?;
            files::write_atomic(&self.marker, &json, files::PLAIN_MODE)
        });
        marker.map_err(|source| self.io(source))
    }

    /// Takes the declaration back, before the tree is changed or removed.
    pub(crate) fn unmark(&self) -> Result<(), TreeError> {
        files::remove_any(&self.marker).map_err(|source| self.io(source))
    }

    /// Reads the marker: no file of the tree is looked at.
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

    /// The same of a tree that another syncer, which lives, keeps: that may run on another machine,
    /// whose present run has another name.
    pub(crate) fn is_anothers(&self, selection: &Selection) -> bool {
        let marker = fs::read(&self.marker).ok();
        let marker = marker.and_then(|text| serde_json::from_slice::<Marker>(&text).ok());
        let is_whole = |marker: Marker| {
            let is_now = boot_id().is_ok_and(|boot| boot == marker.boot);
            marker.selection.as_ref() == Some(selection) && (is_now || owner::is_shared(&self.dir))
        };
        self.shown.is_dir() && marker.is_some_and(is_whole)
    }

    /// An error about this tree's files.
    pub(crate) fn io(&self, source: io::Error) -> TreeError {
        TreeError::Io {
            path: self.dir.clone(),
            source,
        }
    }
}

/// Tells whether a directory is there and its marker is of this boot.
pub(crate) fn is_whole(dir: &Path, marker: &Path) -> bool {
    read_marker(dir, marker).is_some()
}

fn read_marker(dir: &Path, marker: &Path) -> Option<Marker> {
    let marker: Marker = serde_json::from_slice(&fs::read(marker).ok()?).ok()?;
    (dir.is_dir() && marker.boot == boot_id().ok()?).then_some(marker)
}

/// Names the machine's present run, which is longer than ours.
fn boot_id() -> io::Result<&'static str> {
    static ID: OnceLock<String> = OnceLock::new();
    if let Some(id) = ID.get() {
        return Ok(id);
    }
    let id = fs::read_to_string(BOOT_ID)?.trim().to_owned();
    Ok(ID.get_or_init(|| id))
}
