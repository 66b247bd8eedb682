//! Repositories that the cache does not poll: their followers wait for wake-ups alone.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use args::wake::Wake;
use tokio::sync::watch;
use url::Url;

/// The most repositories.
const MOST: usize = 20_000;

/// The repositories whose followers wait, or did so a moment ago.
pub(crate) struct Watches {
    by_address: Mutex<HashMap<Url, watch::Sender<u64>>>,
    /// The number of the next wake-up. All repositories share it, so that one that was forgotten never
    /// has a number again.
    next: AtomicU64,
    /// Distinguishes the numbers of this process from those of others.
    process: u64,
}

/// There are too many repositories.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooManyWatches;

impl Default for Watches {
    fn default() -> Self {
        Self {
            by_address: Mutex::default(),
            next: AtomicU64::default(),
            process: fastrand::u64(..),
        }
    }
}

impl Watches {
    /// The number of the repository's last wake-up, which changes at the next one.
    pub(crate) fn subscribe(
        &self,
        repository: &Url,
    ) -> Result<watch::Receiver<u64>, TooManyWatches> {
        let mut all = self.lock();
        if let Some(known) = all.get(repository) {
            return Ok(known.subscribe());
        }
        if all.len() >= MOST {
            return Err(TooManyWatches);
        }
        let (sender, receiver) = watch::channel(self.next());
        all.insert(repository.clone(), sender);
        Ok(receiver)
    }

    /// The entity tag of a number, with its quotes.
    pub(crate) fn tag(&self, number: u64) -> String {
        format!("\"{:x}-{number}\"", self.process)
    }

    /// Ends the waits of followers of the named repositories.
    pub(crate) fn wake(&self, wake: &Wake) {
        for (repository, sender) in self.lock().iter() {
            if wake.names(repository) {
                sender.send_replace(self.next());
            }
        }
    }

    /// Forgets repositories without a waiting follower. A follower that is between two waits polls once more
    /// than needed.
    pub(crate) fn prune(&self) {
        self.lock().retain(|_, sender| sender.receiver_count() > 0);
    }

    fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Url, watch::Sender<u64>>> {
        let all = self.by_address.lock();
        all.unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn a_wake_up_changes_the_number_of_the_named_repository_alone() {
        let watches = Watches::default();
        let site = url("ssh://git.example/team/site.git");
        let mut one = watches.subscribe(&site).unwrap();
        let mut other = watches.subscribe(&url("ssh://git.example/b")).unwrap();
        let before = watches.tag(*one.borrow_and_update());
        other.borrow_and_update();
        watches.wake(&Wake {
            repositories: vec![url("ssh://git.example/team/site")],
            prefixes: Vec::new(),
        });
        assert!(one.has_changed().unwrap() && !other.has_changed().unwrap());
        assert_ne!(watches.tag(*one.borrow_and_update()), before);
    }

    #[test]
    fn a_forgotten_repository_never_has_an_old_tag_again() {
        let watches = Watches::default();
        let site = url("ssh://git.example/team/site.git");
        let number = || *watches.subscribe(&site).unwrap().borrow();
        let first = number();
        assert_eq!(number(), first);
        watches.prune();
        assert_ne!(number(), first);
        // Nor does another process have it.
        assert_ne!(Watches::default().tag(first), watches.tag(first));
    }
}
