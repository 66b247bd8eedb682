//! How many repositories may use the git program at once.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

/// Hands out the right to run git, in the order of asking.
///
/// A permit is for a whole pass and not for a command: a pass runs one command at a time, and two
/// hundred first passes that took turns by command would all be late together. Its deadline begins
/// with the permit, so nobody fails for having waited. Polls and hooks take none.
#[derive(Clone)]
pub(crate) struct Permits {
    all: Arc<Semaphore>,
    /// Repositories whose last pass failed may have half of the permits, so that a host that
    /// hangs does not keep the others waiting, however many repositories it has.
    troubled: Arc<Semaphore>,
}

/// The right to run git commands, one at a time, until it is dropped.
pub(crate) struct Permit {
    _troubled: Option<OwnedSemaphorePermit>,
    _one: Option<OwnedSemaphorePermit>,
}

impl Permits {
    /// Permits for as many git commands at once; zero is one.
    pub(crate) fn new(count: usize) -> Self {
        let count = count.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            all: Arc::new(Semaphore::new(count)),
            troubled: Arc::new(Semaphore::new(count.div_ceil(2))),
        }
    }

    /// Waits for a permit; `is_troubled` tells that the last pass has failed.
    pub(crate) async fn take(&self, is_troubled: bool) -> Permit {
        // Nobody closes the semaphores, which is the only error.
        let troubled = if is_troubled {
            self.troubled.clone().acquire_owned().await.ok()
        } else {
            None
        };
        Permit {
            _troubled: troubled,
            _one: self.all.clone().acquire_owned().await.ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn at_once(permits: &Permits, is_troubled: bool) -> Option<Permit> {
        let taken = tokio::time::timeout(Duration::ZERO, permits.take(is_troubled));
        taken.await.ok()
    }

    #[tokio::test]
    async fn there_are_no_more_than_asked_for_and_they_come_back() {
        for (asked, count) in [(0, 1), (1, 1), (8, 8)] {
            let permits = Permits::new(asked);
            let mut taken = Vec::new();
            for _ in 0..count {
                taken.extend(at_once(&permits, false).await);
            }
            assert_eq!(taken.len(), count);
            assert!(at_once(&permits, false).await.is_none());
            taken.pop();
            assert!(at_once(&permits, true).await.is_some());
        }
    }

    #[tokio::test]
    async fn those_that_fail_leave_half_to_the_others() {
        let permits = Permits::new(4);
        let first = at_once(&permits, true).await;
        let second = at_once(&permits, true).await;
        assert!(first.is_some() && second.is_some());
        assert!(at_once(&permits, true).await.is_none());
        assert!(at_once(&permits, false).await.is_some());
        drop(first);
        assert!(at_once(&permits, true).await.is_some());
    }
}
