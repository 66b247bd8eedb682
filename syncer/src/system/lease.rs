//! A lease on a directory, for file systems without locks that every machine sees: a file that its
//! owner rewrites every few seconds.
//!
//! A syncer that wants the directory watches the file: an unchanged file has no owner any more
//! after [`DEAD_AFTER`]. Only the watcher's own clock is used. If two syncers take the same dead
//! lease, both write their names and wait, and the one whose name is still there owns it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::system::files;
use crate::system::lock::lock;

/// The name of the file. Its prefix is reserved by the projected layout.
const FILE: &str = "..gitvolume-lease";

/// The interval at which the owner writes it.
const RENEW: Duration = Duration::from_secs(3);

/// How long the file must stay unchanged before its owner counts as dead. A pass never blocks the
/// event loop for so long, and network file systems show a change within seconds.
const DEAD_AFTER: Duration = Duration::from_secs(15);

// The last content of other syncers' leases, with the time when it was first seen.
static SEEN: Mutex<BTreeMap<PathBuf, (String, Instant)>> = Mutex::new(BTreeMap::new());

/// A lease, held until this value is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    file: LeaseFile,
    renewing: JoinHandle<()>,
    /// Closed when another syncer has taken it.
    held: watch::Receiver<()>,
}

/// The file of a lease, and the owner's name in it.
#[derive(Clone, Debug)]
struct LeaseFile {
    path: PathBuf,
    name: String,
}

impl Lease {
    /// Takes the lease of a directory; `None` while another owner may be alive.
    pub(crate) async fn take(dir: &Path) -> io::Result<Option<Self>> {
        let file = LeaseFile {
            path: dir.join(FILE),
            name: format!("{:016x}", fastrand::u64(..)),
        };
        match file.create() {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !file.is_dead()? {
                    return Ok(None);
                }
                tracing::info!(
                    lease = %file.path.display(),
                    "taking over a directory whose owner no longer renews its lease"
                );
                file.write(0)?;
                tokio::time::sleep(RENEW).await;
                if !file.is_ours() {
                    return Ok(None);
                }
            }
            Err(error) => return Err(error),
        }
        let (holding, held) = watch::channel(());
        let renewing = tokio::spawn(file.clone().renew(holding));
        Ok(Some(Self {
            file,
            renewing,
            held,
        }))
    }

    /// Waits until another syncer has taken it. That happens if this one could not write it for a
    /// long time, for example while the machine was suspended.
    pub(crate) async fn lost(&self) {
        let mut held = self.held.clone();
        // No value is ever sent.
        while held.changed().await.is_ok() {}
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewing.abort();
        if self.file.is_ours() {
            // A remaining file counts as dead after a while.
            let _ = fs::remove_file(&self.file.path);
        }
    }
}

impl LeaseFile {
    /// Creates the file; it must not exist.
    fn create(&self) -> io::Result<()> {
        let options = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&self.path);
        options?.write_all(self.content(0).as_bytes())
    }

    /// Replaces the existing file.
    fn write(&self, count: u64) -> io::Result<()> {
        files::write_atomic(
            &self.path,
            self.content(count).as_bytes(),
            files::PLAIN_MODE,
        )
    }

    fn content(&self, count: u64) -> String {
        format!("{} {count}\n", self.name)
    }

    fn is_ours(&self) -> bool {
        let found = fs::read_to_string(&self.path).unwrap_or_default();
        found.split(' ').next() == Some(&*self.name)
    }

    /// Records the content of the file; returns whether it has been unchanged for long enough.
    fn is_dead(&self) -> io::Result<bool> {
        let Some(found) = files::absent_is_none(fs::read_to_string(&self.path))? else {
            // It was released at this moment: the next attempt finds no file.
            return Ok(false);
        };
        let mut seen = lock(&SEEN);
        let (content, since) = seen
            .entry(self.path.clone())
            .or_insert_with(|| (found.clone(), Instant::now()));
        if *content != found {
            (*content, *since) = (found, Instant::now());
        }
        let is_dead = since.elapsed() >= DEAD_AFTER;
        if is_dead {
            seen.remove(&self.path);
        }
        Ok(is_dead)
    }

    /// Rewrites the file periodically, as long as this syncer owns it.
    async fn renew(self, _holding: watch::Sender<()>) {
        for count in 1.. {
            tokio::time::sleep(RENEW).await;
            let file = self.clone();
            let written = files::blocking(move || {
                let is_ours = file.is_ours();
                if is_ours {
                    file.write(count)?;
                }
                Ok(is_ours)
            });
            match written.await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::error!(
                        error = "another syncer has taken the lease",
                        lease = %self.path.display(),
                        "another syncer owns the directory, shutting down"
                    );
                    return;
                }
                Err(error) => tracing::error!(
                    error = %error,
                    lease = %self.path.display(),
                    "cannot renew the lease of the directory"
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_its_owners_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lease::take(dir.path()).await.unwrap().unwrap();
        for _ in 0..20 {
            tokio::time::sleep(RENEW / 2).await;
            // The owner writes in a thread of its own, in real time.
            std::thread::sleep(Duration::from_millis(20));
            assert!(Lease::take(dir.path()).await.unwrap().is_none());
        }
        drop(first);
        assert!(Lease::take(dir.path()).await.unwrap().is_some());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_lease_of_a_killed_owner_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "0123456789abcdef 7\n").unwrap();
        assert!(Lease::take(dir.path()).await.unwrap().is_none());
        tokio::time::sleep(DEAD_AFTER - RENEW).await;
        assert!(Lease::take(dir.path()).await.unwrap().is_none());
        tokio::time::sleep(RENEW).await;
        let taken = Lease::take(dir.path()).await.unwrap();
        assert!(taken.is_some());
    }

    #[tokio::test]
    async fn an_owner_hears_that_its_lease_was_taken() {
        let dir = tempfile::tempdir().unwrap();
        let lease = Lease::take(dir.path()).await.unwrap().unwrap();
        let lost = tokio::time::timeout(Duration::from_millis(100), lease.lost());
        assert!(lost.await.is_err());
        fs::write(dir.path().join(FILE), "0123456789abcdef 7\n").unwrap();
        let lost = tokio::time::timeout(3 * RENEW, lease.lost());
        assert!(lost.await.is_ok());
        drop(lease);
        assert!(dir.path().join(FILE).exists(), "it is the other one's");
    }
}
