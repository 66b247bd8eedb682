//! The record on the state volume that `probe` reads.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::config::RepoConfig;
use crate::error::chain;
use crate::system::files;
use crate::tree;

const FILE: &str = "status.json";

/// The list of several repositories: their names and state directories.
const LIST: &str = "repos.json";

/// The interval at which files for `probe` are restored when nothing else is left to do.
pub(crate) const RECORD_PERIOD: Duration = Duration::from_secs(2);

/// The list by which `probe`, which does not see the syncer's command line, finds the records of
/// several repositories. The record of a single repository is in the state directory of the process
/// itself.
pub(crate) struct List {
    path: PathBuf,
    json: Vec<u8>,
}

impl List {
    /// Writes the list into the state directory; a single repository needs none.
    pub(crate) fn announce(state: &Path, repos: &[RepoConfig]) -> io::Result<Option<Self>> {
        let path = state.join(LIST);
        let states: BTreeMap<_, _> = repos
            .iter()
            .filter_map(|repo| Some((repo.name.as_ref()?, repo.state.as_ref()?)))
            .collect();
        if states.is_empty() {
            files::remove_any(&path)?;
            return Ok(None);
        }
        let json = serde_json::to_vec(&states)?;
        let list = Self { path, json };
        list.write()?;
        Ok(Some(list))
    }

    /// Restores the list whenever it is removed; never returns.
    pub(crate) async fn keep(&self) -> Infallible {
        loop {
            tokio::time::sleep(RECORD_PERIOD).await;
            if !self.path.exists()
                && let Err(error) = self.write()
            {
                tracing::info!(v = 1, reason = %error, "cannot write the list of repositories");
            }
        }
    }

    fn write(&self) -> io::Result<()> {
        if let Some(state) = self.path.parent() {
            files::make_dir(state)?;
        }
        files::write_atomic(&self.path, &self.json, files::PLAIN_MODE)
    }
}

/// The state directories of all repositories of a process by name; empty for a single repository.
pub(crate) fn announced(state: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    match files::absent_is_none(fs::read(state.join(LIST)))? {
        Some(text) => Ok(serde_json::from_slice(&text)?),
        None => Ok(BTreeMap::from([(String::new(), state.to_owned())])),
    }
}

/// The state of the sync.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Record {
    pub(crate) published: Option<Published>,
    /// When the git host named the published commit, if the syncer has not reached it since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) as_of: Option<Timestamp>,
    /// The error of the last pass, without secrets; `None` after a success.
    pub(crate) error: Option<String>,
}

/// The published tree, with the paths by which it is verified.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Published {
    pub(crate) commit: String,
    pub(crate) tree: PathBuf,
    pub(crate) marker: PathBuf,
    #[serde(flatten)]
    pub(crate) view: View,
}

/// How consumers see the published tree.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum View {
    /// Through a link, which is switched.
    Link { link: PathBuf, target: PathBuf },
    /// At its own path; while the journal exists, it is being changed.
    Files { journal: PathBuf },
    /// At its own path: a clone, which never changes.
    Clone {},
}

impl Published {
    /// Whether consumers see this tree now, and it is complete.
    pub(crate) fn is_whole(&self) -> bool {
        self.view.is_current()
            && match self.view {
                View::Link { .. } | View::Files { .. } => tree::is_whole(&self.tree, &self.marker),
                View::Clone {} => tree::clone::exists(&self.tree),
            }
    }
}

impl View {
    /// Whether consumers see the tree now.
    pub(crate) fn is_current(&self) -> bool {
        match self {
            Self::Link { link, target } => fs::read_link(link).is_ok_and(|found| found == *target),
            Self::Files { journal } => !journal.exists(),
            Self::Clone {} => true,
        }
    }
}

impl Record {
    /// Reads the record in a state directory; `None` before the first pass.
    pub(crate) fn read(state: &Path) -> io::Result<Option<Self>> {
        let text = files::absent_is_none(fs::read(state.join(FILE)))?;
        text.map(|text| serde_json::from_slice(&text).map_err(io::Error::from))
            .transpose()
    }
}

/// The writer of the record.
pub(crate) struct Status {
    state: Option<PathBuf>,
    record: Record,
}

impl Status {
    /// Starts with the last process's record: its publication may still be valid.
    pub(crate) fn open(state: Option<&Path>) -> Self {
        // An unreadable record is overwritten by the first pass.
        let record = state.and_then(|state| Record::read(state).ok().flatten());
        Self {
            state: state.map(Path::to_owned),
            record: record.unwrap_or_default(),
        }
    }

    /// Whether the record names a clone in this directory.
    pub(crate) fn has_clone(&self, dir: &Path) -> bool {
        let published = self.record.published.as_ref();
        published.is_some_and(|published| published.view == View::Clone {} && published.tree == dir)
    }

    /// Records the tree that consumers see.
    pub(crate) fn published(&mut self, published: Published) {
        self.change(Record {
            published: Some(published),
            ..self.record.clone()
        });
    }

    /// When the git host named the published commit, if the syncer has not reached it since.
    pub(crate) fn as_of(&self) -> Option<Timestamp> {
        self.record.as_of
    }

    /// Sets [`Self::as_of`].
    pub(crate) fn set_as_of(&mut self, as_of: Option<Timestamp>) {
        if as_of != self.record.as_of {
            self.change(Record {
                as_of,
                ..self.record.clone()
            });
        }
    }

    /// Records the end of a pass.
    pub(crate) fn ended(&mut self, error: Option<String>) {
        self.change(Record {
            error,
            ..self.record.clone()
        });
    }

    /// Writes the record; a failure is only logged, since it affects only the probe.
    fn change(&mut self, record: Record) {
        if let Err(error) = self.write(record) {
            let error = chain(&error);
            tracing::error!(error, "cannot write the state file for the startup probe");
        }
    }

    fn write(&mut self, record: Record) -> io::Result<()> {
        let Some(state) = &self.state else {
            return Ok(());
        };
        let path = state.join(FILE);
        if record != self.record || !path.exists() {
            let json = serde_json::to_vec(&record)?;
            // A published full hash uses no other file in the directory, so only this call creates
            // it.
            files::make_dir(state)?;
            files::write_atomic(&path, &json, files::PLAIN_MODE)?;
        }
        self.record = record;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_of_an_older_syncer_is_read() {
        let read = |view: &str| -> View {
            let text = format!(r#"{{"commit":"0","tree":"/t","marker":"/m"{view}}}"#);
            serde_json::from_str::<Published>(&text).unwrap().view
        };
        let (link, target) = ("/l".into(), "t".into());
        assert_eq!(
            read(r#","link":"/l","target":"t""#),
            View::Link { link, target }
        );
        assert_eq!(read(r#","link":null,"target":"""#), View::Clone {});
        let files = View::Files {
            journal: "/j".into(),
        };
        let text = serde_json::to_string(&files).unwrap();
        assert_eq!(serde_json::from_str::<View>(&text).unwrap(), files);
    }
}
