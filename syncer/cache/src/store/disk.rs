//! The store: a directory of answers with a limit in bytes. The answers that were used least
//! recently are removed first.
//!
//! An answer is written to a file in `spool` and renamed into `entries` when it is complete and on
//! the disk; files in `spool` are removed at the start. A file in `entries` is verified when it is
//! first used, and again whenever its metadata has changed.

use std::collections::HashMap;
use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::Weak;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use ring::digest::Context;
use ring::digest::SHA256;

use crate::metrics::Metrics;
use crate::store::answer_file::AnswerFile;
use crate::store::answer_file::FileStamp;
use crate::store::key::Key;

/// How long nothing is stored after the disk was full.
const FULL: Duration = Duration::from_secs(30);

/// How long an answer is not stored again after that has failed.
const REFUSED: Duration = Duration::from_secs(10 * 60);

/// The store.
pub(crate) struct Store {
    dir: PathBuf,
    limit: u64,
    metrics: Arc<Metrics>,
    index: Mutex<Index>,
    names: AtomicU64,
    /// Locked while the process runs.
    _lock: File,
}

#[derive(Default)]
struct Index {
    entries: HashMap<Key, Entry>,
    total: u64,
    /// Counts uses.
    clock: u64,
    full_since: Option<Instant>,
    /// Answers that could not be stored, such as those above the limit.
    refused: HashMap<Key, Instant>,
}

struct Entry {
    size: u64,
    used: u64,
    /// The file as it was verified.
    verified: Option<FileStamp>,
    open: Weak<AnswerFile>,
}

/// A stored answer that is complete and verified.
pub(crate) struct StoredAnswer {
    pub(crate) file: Arc<AnswerFile>,
    pub(crate) length: u64,
}

/// An answer that is being written. Dropping it removes its file.
pub(crate) struct Spool {
    path: PathBuf,
    pub(crate) file: Arc<AnswerFile>,
    hash: Context,
    pub(crate) written: u64,
}

impl Drop for Spool {
    fn drop(&mut self) {
        // The file of a stored answer has another name by now.
        let _ = fs::remove_file(&self.path);
    }
}

impl Store {
    /// Opens a directory, which is created if needed; fails if another process uses it.
    pub(crate) fn open(dir: &Path, limit: u64, metrics: Arc<Metrics>) -> io::Result<Self> {
        for part in [dir.to_owned(), dir.join("entries"), dir.join("spool")] {
            DirBuilder::new().recursive(true).mode(0o700).create(part)?;
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(dir.join("lock"))?;
        lock.try_lock().map_err(io::Error::from)?;
        for file in fs::read_dir(dir.join("spool"))? {
            fs::remove_file(file?.path())?;
        }
        let mut found = Vec::new();
        for file in fs::read_dir(dir.join("entries"))? {
            let file = file?;
            let metadata = file.metadata()?;
            match file.file_name().to_str().and_then(Key::parse) {
                Some(key) => found.push((metadata.modified()?, key, metadata.len())),
                None => fs::remove_file(file.path())?,
            }
        }
        found.sort_by_key(|(modified, ..)| *modified);
        let store = Self {
            dir: dir.to_owned(),
            limit,
            metrics,
            index: Mutex::default(),
            names: AtomicU64::new(0),
            _lock: lock,
        };
        {
            let mut index = store.lock();
            for (_, key, size) in found {
                index.insert(key, size);
            }
            store.evict(&mut index, limit);
        }
        Ok(store)
    }

    /// The verified answer of a key. A damaged one is removed. Blocks.
    pub(crate) fn get(&self, key: Key) -> Option<StoredAnswer> {
        let (open, verified) = {
            let mut index = self.lock();
            index.clock += 1;
            let clock = index.clock;
            let entry = index.entries.get_mut(&key)?;
            entry.used = clock;
            (entry.open.upgrade(), entry.verified)
        };
        match self.read(key, open, verified) {
            Ok(Some(stored)) => Some(stored),
            Ok(None) => {
                tracing::warn!(%key, "a stored answer is damaged and was removed");
                self.metrics.store_errors.add(1);
                self.remove(key);
                None
            }
            Err(error) => {
                tracing::warn!(%key, %error, "a stored answer cannot be read");
                self.metrics.store_errors.add(1);
                self.remove(key);
                None
            }
        }
    }

    fn read(
        &self,
        key: Key,
        open: Option<Arc<AnswerFile>>,
        verified: Option<FileStamp>,
    ) -> io::Result<Option<StoredAnswer>> {
        let file = match open {
            Some(file) => file,
            None => Arc::new(AnswerFile::new(File::open(self.path(key))?)),
        };
        let stamp = file.stamp()?;
        let length = match verified == Some(stamp) {
            true => Some(stamp.answer_length()),
            false => file.verify()?,
        };
        let Some(length) = length else {
            return Ok(None);
        };
        if let Some(entry) = self.lock().entries.get_mut(&key) {
            entry.verified = Some(stamp);
            entry.open = Arc::downgrade(&file);
        }
        Ok(Some(StoredAnswer { file, length }))
    }

    /// Removes the answer of a key. Followers that read it get the rest.
    pub(crate) fn remove(&self, key: Key) {
        let mut index = self.lock();
        self.remove_entry(&mut index, key);
    }

    /// Whether an answer can be stored now; otherwise each follower gets its own from the origin.
    pub(crate) fn can_store(&self, key: Key) -> bool {
        let index = self.lock();
        let is_full = index.full_since.is_some_and(|since| since.elapsed() < FULL);
        let refused = index.refused.get(&key);
        let is_refused = refused.is_some_and(|at| at.elapsed() < REFUSED);
        self.limit > 0 && !is_full && !is_refused
    }

    /// Records that an answer cannot be stored.
    pub(crate) fn refuse(&self, key: Key) {
        let mut index = self.lock();
        index.refused.retain(|_, at| at.elapsed() < REFUSED);
        index.refused.insert(key, Instant::now());
    }

    /// Begins an answer. Blocks.
    pub(crate) fn begin(&self) -> io::Result<Spool> {
        let name = self.names.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join("spool").join(name.to_string());
        let file = OpenOptions::new()
            .create_new(true)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path);
        let file = file.inspect_err(|error| self.failed(error))?;
        Ok(Spool {
            path,
            file: Arc::new(AnswerFile::new(file)),
            hash: Context::new(&SHA256),
            written: 0,
        })
    }

    /// Writes a part of an answer; an answer above the store's limit is an error. Blocks.
    pub(crate) fn write(&self, spool: &mut Spool, bytes: &[u8]) -> io::Result<()> {
        if spool.written + bytes.len() as u64 > self.limit {
            return Err(io::Error::other("the answer is larger than the store"));
        }
        if let Err(error) = spool.file.write(spool.written, bytes) {
            // Old answers make room for a new one.
            let mut index = self.lock();
            let half = index.total / 2;
            self.evict(&mut index, half);
            drop(index);
            tracing::warn!(%error, "cannot write to the store; half of the stored answers are removed");
            let again = spool.file.write(spool.written, bytes);
            again.inspect_err(|error| self.failed(error))?;
        }
        spool.hash.update(bytes);
        spool.written += bytes.len() as u64;
        Ok(())
    }

    /// Keeps a complete answer. Blocks.
    pub(crate) fn keep(&self, spool: Spool, key: Key) {
        let digest = spool.hash.clone().finish();
        let kept = spool.file.complete(spool.written, &digest).and_then(|()| {
            fs::rename(&spool.path, self.path(key))?;
            spool.file.stamp()
        });
        match kept {
            Ok(stamp) => {
                let mut index = self.lock();
                index.insert(key, stamp.size());
                if let Some(entry) = index.entries.get_mut(&key) {
                    entry.verified = Some(stamp);
                    entry.open = Arc::downgrade(&spool.file);
                }
                self.evict(&mut index, self.limit);
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&self, error: &io::Error) {
        tracing::warn!(%error, "cannot store an answer; the cache serves without storing for 30 seconds");
        self.metrics.store_errors.add(1);
        self.lock().full_since = Some(Instant::now());
    }

    /// Removes the answers that were used least recently until the rest has at most `limit` bytes.
    fn evict(&self, index: &mut Index, limit: u64) {
        while index.total > limit {
            let oldest = index.entries.iter().min_by_key(|(_, entry)| entry.used);
            let Some(key) = oldest.map(|(key, _)| *key) else {
                return;
            };
            self.remove_entry(index, key);
        }
        self.metrics.store_bytes.set(index.total as i64);
    }

    fn remove_entry(&self, index: &mut Index, key: Key) {
        if let Some(entry) = index.entries.remove(&key) {
            index.total -= entry.size;
            self.metrics.store_bytes.set(index.total as i64);
            if let Err(error) = fs::remove_file(self.path(key)) {
                tracing::warn!(%key, %error, "a stored answer cannot be removed");
            }
        }
    }

    fn path(&self, key: Key) -> PathBuf {
        self.dir.join("entries").join(key.to_string())
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    fn insert(&mut self, key: Key, size: u64) {
        self.clock += 1;
        let entry = Entry {
            size,
            used: self.clock,
            verified: None,
            open: Weak::new(),
        };
        self.total += size;
        if let Some(old) = self.entries.insert(key, entry) {
            self.total -= old.size;
        }
    }
}

#[cfg(test)]
mod tests;
