//! The journal of a change of the tree: it exists from the first rename to the last.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use crate::git::Hash;
use crate::system::files;
use crate::tree;

const FILE: &str = "journal";

/// The same file while the change has not begun: everything is staged.
const PREPARED: &str = "prepared";

/// What remains to be written when all files are in place.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Journal {
    /// The address and the ref of the new tree.
    pub(super) request: String,
    /// The content of the new tree's marker.
    pub(super) marker: String,
}

impl Journal {
    /// The path of the open journal.
    pub(super) fn path(own: &Path) -> PathBuf {
        own.join(FILE)
    }

    /// Whether a change has begun and not ended.
    pub(super) fn is_open(own: &Path) -> bool {
        Self::path(own).exists()
    }

    /// Reads the open journal.
    pub(super) fn read(own: &Path) -> io::Result<Option<Self>> {
        let journal = Self::read_at(&Self::path(own));
        match journal {
            // Lost by the machine, with the change: the tree's old marker is then of another boot,
            // so that the tree is compared with its commit.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Self::close(own)?;
                Ok(None)
            }
            other => other,
        }
    }

    /// Reads the journal of a change that has not begun.
    pub(super) fn prepared(own: &Path) -> io::Result<Option<Self>> {
        Self::read_at(&own.join(PREPARED))
    }

    fn read_at(path: &Path) -> io::Result<Option<Self>> {
        let text = files::absent_is_none(fs::read(path))?;
        let parsed = text.map(|text| serde_json::from_slice(&text));
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        parsed.transpose().map_err(invalid)
    }

    /// Writes the journal of a change that has not begun.
    pub(super) fn prepare(&self, own: &Path) -> io::Result<()> {
        let json = serde_json::to_vec(self)?;
        files::write_atomic(&own.join(PREPARED), &json, files::PLAIN_MODE)
    }

    /// Begins the prepared change.
    pub(super) fn open(own: &Path) -> io::Result<()> {
        files::rename(&own.join(PREPARED), &Self::path(own))
    }

    /// Ends the change.
    pub(super) fn close(own: &Path) -> io::Result<()> {
        files::remove_any(&Self::path(own))
    }

    /// The commit of the new tree.
    pub(super) fn commit(&self) -> Option<Hash> {
        tree::commit_of(self.marker.as_bytes())
    }
}
