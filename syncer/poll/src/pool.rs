//! Connections that are kept for the next poll, shared by all repositories of the process.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

/// The maximum age of a connection: afterwards DNS is resolved and the credentials are checked
/// again.
pub(crate) const LONGEST_LIFE: Duration = Duration::from_secs(600);

/// The maximum idle time of a connection; routers may drop it after that.
const LONGEST_IDLE: Duration = Duration::from_secs(90);

/// The number of connections that are kept per key; the polls of many repositories are spread over
/// the period.
const KEPT: usize = 4;

/// A connection, which the server may close at any time.
pub(crate) trait Connection {
    /// Whether it seems usable, without any I/O.
    fn is_open(&self) -> bool;
}

/// The kept connections of one kind by their key: equal keys share connections.
pub(crate) struct Pool<K, C>(Mutex<Vec<Kept<K, C>>>);

struct Kept<K, C> {
    key: K,
    connection: Aged<C>,
    idle_since: Instant,
}

/// A connection with its age.
pub struct Aged<C> {
    pub(crate) connection: C,
    since: Instant,
}

impl<C> Aged<C> {
    /// Wraps a new connection.
    pub(crate) fn new(connection: C) -> Self {
        Self {
            connection,
            since: Instant::now(),
        }
    }
}

impl<K: PartialEq, C: Connection> Pool<K, C> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Removes and returns a connection, so that no other poll uses it; a broken one is not put
    /// back.
    pub(crate) fn take(&self, key: &K) -> Option<Aged<C>> {
        let mut all = self.fresh();
        let at = all.iter().rposition(|kept| kept.key == *key)?;
        Some(all.remove(at).connection)
    }

    /// Keeps a connection, unless there are enough.
    pub(crate) fn keep(&self, key: K, connection: Aged<C>) {
        let mut all = self.fresh();
        if all.iter().filter(|kept| kept.key == key).count() < KEPT {
            all.push(Kept {
                key,
                connection,
                idle_since: Instant::now(),
            });
        }
    }

    fn fresh(&self) -> MutexGuard<'_, Vec<Kept<K, C>>> {
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
