//! The app that uses the published files until the end.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::Duration;

use crate::layout::AppKind;
use crate::reader::read_files;
use crate::reader::read_revision;
use crate::writer::Writer;

/// Uses a published tree repeatedly.
pub(crate) struct App {
    /// The directory of the published files, or the link to it.
    tree: PathBuf,
    kind: AppKind,
    found: Mutex<Readings>,
}

/// What an app has found.
#[derive(Clone, Default)]
pub(crate) struct Readings {
    /// Number of readings.
    pub(crate) readings: u64,
    /// The revisions seen.
    pub(crate) revisions: BTreeSet<u64>,
    /// Descriptions of violations.
    pub(crate) mistakes: Vec<String>,
}

impl App {
    pub(crate) fn new(tree: PathBuf, kind: AppKind) -> Self {
        Self {
            tree,
            kind,
            found: Mutex::default(),
        }
    }

    /// Reads, or edits, until the end.
    pub(crate) fn run_until(&self, is_over: &AtomicBool) {
        let mut writer = Writer::default();
        while !is_over.load(Ordering::Relaxed) {
            let seen = match self.kind {
                AppKind::ReadsRevisions => read_revision(&self.tree).map(Some),
                AppKind::ReadsFiles => read_files(&self.tree).map(|seen| seen.last().copied()),
                AppKind::Writes => writer.look(&self.tree),
            };
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            found.readings += 1;
            match seen {
                Ok(revision) => found.revisions.extend(revision),
                Err(mistake) => found.mistakes.push(mistake),
            }
            drop(found);
            sleep(Duration::from_millis(2));
        }
    }

    /// The results so far.
    pub(crate) fn found(&self) -> Readings {
        let found = self.found.lock();
        found.unwrap_or_else(PoisonError::into_inner).clone()
    }
}
