//! Connections that are kept for the next poll, whichever repository of the process it is for.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

/// How long a connection serves. A host whose name has moved to another machine is asked there from
/// then on, though the old one goes on answering; so is one that has taken a key's rights away.
pub(super) const LONGEST_LIFE: Duration = Duration::from_secs(600);

/// How long a connection may be idle; a router between may have forgotten it by then.
const LONGEST_IDLE: Duration = Duration::from_secs(90);

/// Connections of one kind that are kept; polls of many repositories are spread over the period.
const KEPT: usize = 4;

/// Something that the other side may close at any time.
pub(super) trait Connection {
    /// Tells whether it can be used, as far as one knows without trying.
    fn is_open(&self) -> bool;
}

/// The kept connections of one kind, each with the way by which it was made.
pub(super) struct Pool<W, C>(Mutex<Vec<Kept<W, C>>>);

struct Kept<W, C> {
    way: W,
    connection: Aged<C>,
    idle_since: Instant,
}

/// A connection and its age.
pub(super) struct Aged<C> {
    pub(super) connection: C,
    since: Instant,
}

impl<C> Aged<C> {
    /// A connection that was made just now.
    pub(super) fn new(connection: C) -> Self {
        Self {
            connection,
            since: Instant::now(),
        }
    }
}

impl<W: PartialEq, C: Connection> Pool<W, C> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Takes a connection out: nobody else uses it meanwhile, and one that fails is not seen again.
    pub(super) fn take(&self, way: &W) -> Option<Aged<C>> {
        let mut all = self.fresh();
        let at = all.iter().rposition(|kept| kept.way == *way)?;
        Some(all.remove(at).connection)
    }

    /// Keeps a connection, unless there are enough.
    pub(super) fn keep(&self, way: W, connection: Aged<C>) {
        let mut all = self.fresh();
        if all.iter().filter(|kept| kept.way == way).count() < KEPT {
            all.push(Kept {
                way,
                connection,
                idle_since: Instant::now(),
            });
        }
    }

    fn fresh(&self) -> MutexGuard<'_, Vec<Kept<W, C>>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|kept| {
            kept.connection.connection.is_open()
                && kept.connection.since.elapsed() < LONGEST_LIFE
                && kept.idle_since.elapsed() < LONGEST_IDLE
        });
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Wire(bool);

    impl Connection for Wire {
        fn is_open(&self) -> bool {
            self.0
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_kept_while_it_is_open_used_and_not_too_old() {
        let pool = Pool::<u8, Wire>::new();
        pool.keep(1, Aged::new(Wire(true)));
        assert!(pool.take(&2).is_none());
        let mut taken = pool.take(&1).unwrap();
        assert!(pool.take(&1).is_none());
        taken.connection.0 = false;
        pool.keep(1, taken);
        assert!(pool.take(&1).is_none());

        pool.keep(1, Aged::new(Wire(true)));
        tokio::time::advance(LONGEST_IDLE).await;
        assert!(pool.take(&1).is_none());

        let mut kept = Aged::new(Wire(true));
        for _ in 0..10 {
            pool.keep(1, kept);
            tokio::time::advance(LONGEST_LIFE / 10 - Duration::from_secs(1)).await;
            kept = pool.take(&1).unwrap();
        }
        pool.keep(1, kept);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(pool.take(&1).is_none());
    }

    #[test]
    fn no_more_are_kept_than_are_needed() {
        let pool = Pool::<u8, Wire>::new();
        for _ in 0..KEPT + 1 {
            pool.keep(1, Aged::new(Wire(true)));
        }
        pool.keep(2, Aged::new(Wire(true)));
        let taken = std::iter::from_fn(|| pool.take(&1)).count();
        assert_eq!(taken, KEPT);
        assert!(pool.take(&2).is_some());
    }
}
