//! A lease on a directory, for file systems without locks that every machine sees: a file that its
//! owner writes anew every few seconds.
//!
//! Whoever wants the directory watches the file: one that stays the same for [`DEAD_AFTER`] belongs to
//! nobody any more. No clock but the watcher's own is used. Two that take the same dead lease both
//! write their names, wait, and the one whose name is still there has it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::files;

/// The file. Its name begins as all names do that the projected layout keeps for itself.
const FILE: &str = "..gitvolume-lease";

/// How often the owner writes it.
const RENEW: Duration = Duration::from_secs(3);

/// How long it stays the same before its owner counts as gone. A pass never holds the event loop for
/// so long, and network file systems show a change within seconds.
const DEAD_AFTER: Duration = Duration::from_secs(15);

// What was seen in leases of others, and when it was new to us.
static SEEN: Mutex<BTreeMap<PathBuf, (String, Instant)>> = Mutex::new(BTreeMap::new());

/// A lease that is ours until this value is gone.
#[derive(Debug)]
pub(crate) struct Lease {
    file: LeaseFile,
    renewing: JoinHandle<()>,
    /// Closed when another syncer has taken it.
    held: watch::Receiver<()>,
}

/// The file, and the name that we write into it.
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
                    "taking over a directory whose owner does not renew its lease any more"
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

    /// Waits until another syncer has taken it, which happens where this one could not write it for
    /// long, as when the machine was suspended.
    pub(crate) async fn lost(&self) {
        let mut held = self.held.clone();
        // Nothing is ever sent.
        while held.changed().await.is_ok() {}
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewing.abort();
        if self.file.is_ours() {
            // One that is left counts as dead after a while.
            let _ = fs::remove_file(&self.file.path);
        }
    }
}

impl LeaseFile {
    /// Writes the file where none is.
    fn create(&self) -> io::Result<()> {
        let options = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&self.path);
        options?.write_all(self.content(0).as_bytes())
    }

    /// Takes the place of the file that is there.
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

    /// Notes what the file holds; tells whether it has been the same for long enough.
    fn is_dead(&self) -> io::Result<bool> {
        let Some(found) = files::absent_is_none(fs::read_to_string(&self.path))? else {
            // Given up at this moment: the next attempt finds nothing.
            return Ok(false);
        };
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// Writes it again and again, as long as it is ours.
    async fn renew(self, _holding: watch::Sender<()>) {
        for count in 1.. {
            tokio::time::sleep(RENEW).await;
            let file = self.clone();
            let written = files::blocking(move || match file.is_ours() {
                true => file.write(count).map(|()| true),
                false => Ok(false),
            });
            match written.await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::error!(
                        error = "another syncer has taken the lease",
                        lease = %self.path.display(),
                        "the directory is not ours any more, ending"
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
            // The owner writes in a thread of its own, whose time does not stand still.
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
