//! The files of one commit: whole or absent.
//!
//! A marker beside the tree is removed first and written last; it holds the machine's boot id, since
//! git does not wait until files are on the disk: after a reboot a tree is compared with its commit
//! before it is trusted.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;
use tokio::time::Instant;

use crate::files;
use crate::git::Git;
use crate::git::GitError;
use crate::git::Hash;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Says why a tree could not be made or checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TreeError {
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("cannot write {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// Where the parts of one commit's tree are.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) commit: Hash,
    /// The files, for the readers.
    pub(crate) dir: PathBuf,
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
}

impl Tree {
    /// Fills an empty directory with the commit's files, and describes them in a new index.
    pub(crate) async fn check_out(
        &self,
        git: &Git,
        into: &Path,
        index: &Path,
        deadline: Instant,
    ) -> Result<(), TreeError> {
        git.command("read-tree")
            .git_dir(&self.git_dir)
            .work_tree(into, index)
            .arg("-m")
            .arg("-u")
            .arg(self.commit.as_str())
            .run(deadline)
            .await?;
        Ok(())
    }

    /// Compares the files with the commit, content by content, with an index that knows nothing.
    pub(crate) async fn is_equal_to_commit(
        &self,
        git: &Git,
        deadline: Instant,
    ) -> Result<bool, TreeError> {
        if !self.dir.is_dir() || !self.git_dir.is_dir() {
            return Ok(false);
        }
        let index = self.marker.with_extension("compare");
        let prepare = index.clone();
        files::blocking(move || files::remove_any(&prepare))
            .await
            .map_err(|source| self.io(source))?;
        for args in [
            ["read-tree", self.commit.as_str()],
            ["update-index", "--refresh"],
        ] {
            let run = git
                .command(args[0])
                .git_dir(&self.git_dir)
                .work_tree(&self.dir, &index)
                .arg(args[1])
                .run(deadline)
                .await;
            match run {
                Ok(_) => {}
                Err(GitError::Failed { .. }) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        files::remove_any(&index).map_err(|source| self.io(source))?;
        Ok(true)
    }

    /// Declares the tree whole.
    pub(crate) fn mark(&self) -> Result<(), TreeError> {
        let marker = boot_id().and_then(|boot| {
            let commit = self.commit.to_string();
            let json = serde_json::to_vec(&Marker { boot, commit })?;
            files::write_atomic(&self.marker, &json, files::PLAIN_MODE)
        });
        marker.map_err(|source| self.io(source))
    }

    /// Takes the declaration back, before the tree is changed or removed.
    pub(crate) fn unmark(&self) -> Result<(), TreeError> {
        files::remove_any(&self.marker).map_err(|source| self.io(source))
    }

    /// Tells whether the tree is there and was declared whole since the machine started.
    pub(crate) fn is_whole(&self) -> bool {
        is_whole(&self.dir, &self.marker)
    }

    fn io(&self, source: io::Error) -> TreeError {
        TreeError::Io {
            path: self.dir.clone(),
            source,
        }
    }
}

/// Tells whether a directory is there and its marker is of this boot.
pub(crate) fn is_whole(dir: &Path, marker: &Path) -> bool {
    let marked = || -> Option<Marker> { serde_json::from_slice(&fs::read(marker).ok()?).ok() };
    let boot = boot_id().ok();
    dir.is_dir() && marked().is_some_and(|marker| Some(marker.boot) == boot)
}

fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string(BOOT_ID)?.trim().to_owned())
}
