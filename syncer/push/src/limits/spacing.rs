//! At most one event per key and interval, and the last one of an interval is kept.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio::time::sleep_until;

use crate::lock::lock;

/// A queue that releases each key at once, and again only after the interval, however often it is
/// requested meanwhile: no request is lost, since the key is released once more at the interval's
/// end.
#[derive(Debug)]
pub struct SpacedQueue<K> {
    interval: Duration,
    keys: Mutex<BTreeMap<K, Requested>>,
    requested: Notify,
}

#[derive(Clone, Copy, Debug)]
struct Requested {
    /// The earliest time of the next release.
    from: Instant,
    is_waiting: bool,
}

impl<K: Clone + Ord> SpacedQueue<K> {
    /// An empty queue.
    pub fn new(interval: Duration) -> Self {
        Self {
            interval,
            keys: Mutex::default(),
            requested: Notify::new(),
        }
    }

    /// Requests the release of keys.
    pub fn request(&self, keys: impl IntoIterator<Item = K>) {
        let now = Instant::now();
        let mut known = lock(&self.keys);
        // A key outside of its interval is as good as unknown.
        known.retain(|_, key| key.is_waiting || key.from > now);
        for key in keys {
            let entry = known.entry(key).or_insert(Requested {
                from: now,
                is_waiting: true,
            });
            entry.is_waiting = true;
        }
        drop(known);
        self.requested.notify_one();
    }

    /// Waits until keys may be released, and returns them.
    pub async fn next(&self) -> Vec<K> {
        loop {
            let (due, next) = self.take(Instant::now());
            if !due.is_empty() {
                return due;
            }
            let requested = self.requested.notified();
            match next {
                None => requested.await,
                Some(next) => tokio::select! {
                    () = requested => {}
                    () = sleep_until(next) => {}
                },
            }
        }
    }

    /// Returns the keys that wait, without regard to their intervals.
    pub fn drain(&self) -> Vec<K> {
        let known = std::mem::take(&mut *lock(&self.keys)).into_iter();
        let waiting = known.filter(|(_, key)| key.is_waiting);
        waiting.map(|(key, _)| key).collect()
    }

    /// The keys that may be released, and the time of the next release.
    fn take(&self, now: Instant) -> (Vec<K>, Option<Instant>) {
        let mut known = lock(&self.keys);
        let mut due = Vec::new();
        for (key, entry) in known.iter_mut().filter(|(_, entry)| entry.is_waiting) {
            if entry.from <= now {
                due.push(key.clone());
                *entry = Requested {
                    from: now + self.interval,
                    is_waiting: false,
                };
            }
        }
        let waiting = known.values().filter(|entry| entry.is_waiting);
        (due, waiting.map(|entry| entry.from).min())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;
    use tokio::time::timeout;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_first_request_is_released_at_once_and_the_last_one_after_the_interval() {
        let queue = SpacedQueue::new(SECOND);
        let began = Instant::now();
        queue.request(["a"]);
        assert_eq!(queue.next().await, ["a"]);
        assert_eq!(began.elapsed(), Duration::ZERO);
        for _ in 0..100 {
            queue.request(["a"]);
            advance(Duration::from_millis(5)).await;
        }
        assert_eq!(queue.next().await, ["a"]);
        assert_eq!(began.elapsed().as_millis(), 1000);
        timeout(SECOND * 100, queue.next()).await.unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn one_key_does_not_delay_another() {
        let queue = SpacedQueue::new(SECOND);
        queue.request(["a"]);
        assert_eq!(queue.next().await, ["a"]);
        queue.request(["a", "b"]);
        assert_eq!(queue.next().await, ["b"]);
        assert_eq!(queue.next().await, ["a"]);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_forgotten_after_their_interval() {
        let queue = SpacedQueue::new(SECOND);
        for key in 0..100 {
            queue.request([key]);
            assert_eq!(queue.next().await, [key]);
            advance(SECOND).await;
        }
        assert_eq!(lock(&queue.keys).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_end_what_waits_is_released() {
        let queue = SpacedQueue::new(SECOND);
        queue.request(["a"]);
        assert_eq!(queue.next().await, ["a"]);
        assert_eq!(queue.drain(), [""; 0]);
        queue.request(["a"]);
        assert_eq!(queue.drain(), ["a"]);
    }
}
