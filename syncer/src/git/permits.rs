//! The limit of repositories that run git at the same time.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

/// A queue of permits to run git, first come, first served.
///
/// A permit covers a whole pass and not one command: a pass runs one command at a time, and two
/// hundred first passes that alternate by command would all be late together. The deadline of a
/// pass starts with its permit, so waiting never causes a failure. Polls and hooks need no permit.
#[derive(Clone)]
pub(crate) struct Permits {
    all: Arc<Semaphore>,
    /// Half of the permits, for repositories whose last pass failed: a host that hangs cannot delay
    /// the others, however many repositories it has.
    troubled: Arc<Semaphore>,
}

/// How many permits a repository may compete for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Priority {
    /// All of them.
    Normal,
    /// Half of them, since its last pass failed.
    AfterFailure,
}

impl Priority {
    /// The priority after a pass.
    pub(crate) fn after(has_failed: bool) -> Self {
        if has_failed {
            Self::AfterFailure
        } else {
            Self::Normal
        }
    }
}

/// The right to run git commands, one at a time, until it is dropped.
pub(crate) struct Permit {
    _troubled: Option<OwnedSemaphorePermit>,
    _one: Option<OwnedSemaphorePermit>,
}

impl Permits {
    /// Creates the permits for `count` git commands at once; zero counts as one.
    pub(crate) fn new(count: usize) -> Self {
        let count = count.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            all: Arc::new(Semaphore::new(count)),
            troubled: Arc::new(Semaphore::new(count.div_ceil(2))),
        }
    }

    /// Waits for a permit.
    pub(crate) async fn acquire(&self, priority: Priority) -> Permit {
        // The semaphores are never closed, and that is the only error.
        let troubled = match priority {
            Priority::AfterFailure => self.troubled.clone().acquire_owned().await.ok(),
            Priority::Normal => None,
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

    async fn at_once(permits: &Permits, priority: Priority) -> Option<Permit> {
        let taken = tokio::time::timeout(Duration::ZERO, permits.acquire(priority));
        taken.await.ok()
    }

    #[tokio::test]
    async fn permits_are_limited_and_returned() {
        for (asked, count) in [(0, 1), (1, 1), (8, 8)] {
            let permits = Permits::new(asked);
            let mut taken = Vec::new();
            for _ in 0..count {
                taken.extend(at_once(&permits, Priority::Normal).await);
            }
            assert_eq!(taken.len(), count);
            assert!(at_once(&permits, Priority::Normal).await.is_none());
            taken.pop();
            assert!(at_once(&permits, Priority::AfterFailure).await.is_some());
        }
    }

    #[tokio::test]
    async fn failing_repositories_leave_half_of_the_permits_to_others() {
        let permits = Permits::new(4);
        let first = at_once(&permits, Priority::AfterFailure).await;
        let second = at_once(&permits, Priority::AfterFailure).await;
        assert!(first.is_some() && second.is_some());
        assert!(at_once(&permits, Priority::AfterFailure).await.is_none());
        assert!(at_once(&permits, Priority::Normal).await.is_some());
        drop(first);
        assert!(at_once(&permits, Priority::AfterFailure).await.is_some());
    }
}
