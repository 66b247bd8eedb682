//! The record on the state volume by which `probe` knows how the sync stands.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use crate::clone;
use crate::config::RepoConfig;
use crate::files;
use crate::tree;

const FILE: &str = "status.json";

/// Where each of several repositories has its record: by its name, its state directory.
const LIST: &str = "repos.json";

/// Says in the process's state directory where `probe` finds the records of several repositories;
/// it does not see our command line. The only one's is in that directory itself.
pub(crate) fn announce(state: &Path, repos: &[RepoConfig]) -> io::Result<()> {
    let path = state.join(LIST);
    let states: BTreeMap<_, _> = repos
        .iter()
        .filter_map(|repo| Some((repo.name.as_ref()?, repo.state.as_ref()?)))
        .collect();
    if states.is_empty() {
        return files::remove_any(&path);
    }
    fs::create_dir_all(state)?;
    files::write_atomic(&path, &serde_json::to_vec(&states)?, files::PLAIN_MODE)
}

/// The state directories of all repositories of a process, by their names; the only one has none.
pub(crate) fn announced(state: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    match files::absent_is_none(fs::read(state.join(LIST)))? {
        Some(text) => Ok(serde_json::from_slice(&text)?),
        None => Ok(BTreeMap::from([(String::new(), state.to_owned())])),
    }
}

/// How the sync stands.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Record {
    pub(crate) published: Option<Published>,
    /// The last pass's trouble, free of secrets; none after a success.
    pub(crate) error: Option<String>,
}

/// The published tree, and what proves it on disk.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Published {
    pub(crate) commit: String,
    /// None of a clone, which is not published anew.
    pub(crate) link: Option<PathBuf>,
    pub(crate) target: PathBuf,
    pub(crate) tree: PathBuf,
    pub(crate) marker: PathBuf,
}

impl Published {
    /// Tells whether readers see this tree now, and all of it.
    pub(crate) fn is_whole(&self) -> bool {
        match &self.link {
            Some(link) => {
                fs::read_link(link).is_ok_and(|target| target == self.target)
                    && tree::is_whole(&self.tree, &self.marker)
            }
            None => clone::is_there(&self.tree),
        }
    }
}

impl Record {
    /// Reads the record in a state directory; there is none before the first pass.
    pub(crate) fn read(state: &Path) -> io::Result<Option<Self>> {
        let text = files::absent_is_none(fs::read(state.join(FILE)))?;
        text.map(|text| serde_json::from_slice(&text).map_err(io::Error::from))
            .transpose()
    }
}

/// Keeps the record in step with what the passes find.
pub(crate) struct Status {
    state: Option<PathBuf>,
    record: Record,
}

impl Status {
    /// Begins with what the last process wrote: its publication may well stand.
    pub(crate) fn open(state: Option<&Path>) -> Self {
        // An unreadable record is overwritten by the first pass.
        let record = state.and_then(|state| Record::read(state).ok().flatten());
        Self {
            state: state.map(Path::to_owned),
            record: record.unwrap_or_default(),
        }
    }

    /// Tells whether a clone was made in this directory, as far as the record knows.
    pub(crate) fn has_clone(&self, dir: &Path) -> bool {
        let published = self.record.published.as_ref();
        published.is_some_and(|published| published.link.is_none() && published.tree == dir)
    }

    /// Notes that readers see this tree.
    pub(crate) fn published(&mut self, published: Published) -> io::Result<()> {
        let error = self.record.error.clone();
        self.change(Record {
            published: Some(published),
            error,
        })
    }

    /// Notes how a pass ended.
    pub(crate) fn ended(&mut self, error: Option<String>) -> io::Result<()> {
        let published = self.record.published.clone();
        self.change(Record { published, error })
    }

    fn change(&mut self, record: Record) -> io::Result<()> {
        let Some(state) = &self.state else {
            return Ok(());
        };
        let path = state.join(FILE);
        if record != self.record || !path.exists() {
            let json = serde_json::to_vec(&record)?;
            files::write_atomic(&path, &json, files::PLAIN_MODE)?;
        }
        self.record = record;
        Ok(())
    }
}
