//! The relay: what deliveries wake goes to the cache, at most once per address and second.

use std::sync::Arc;
use std::time::Duration;

use args::wake::Wake;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio::time::timeout;
use url::Url;

use crate::limits::spacing::SpacedQueue;
use crate::receiver::cache::CacheClient;

/// The interval between two wake-ups for one address.
const INTERVAL: Duration = Duration::from_secs(1);

/// The interval between two messages to the cache; deliveries that arrive meanwhile share one.
const BATCH: Duration = Duration::from_millis(50);

/// The number of addresses in a message; the cache accepts 64 KiB.
const MOST_ADDRESSES: usize = 50;

/// The number of messages that are being sent; a message takes at most four seconds.
const MOST_MESSAGES: usize = 64;

/// The time at the end in which the last messages are sent.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// What is woken.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum WakeTarget {
    Repository(Url),
    Prefix(Url),
}

/// The relay to the cache.
pub(super) struct Relay {
    queue: SpacedQueue<WakeTarget>,
    cache: Arc<CacheClient>,
    free: Arc<Semaphore>,
}

impl Relay {
    pub(super) fn new(cache: CacheClient) -> Self {
        Self {
            queue: SpacedQueue::new(INTERVAL),
            cache: Arc::new(cache),
            free: Arc::new(Semaphore::new(MOST_MESSAGES)),
        }
    }

    /// Adds what a delivery wakes.
    pub(super) fn request(&self, wake: Wake) {
        let repositories = wake.repositories.into_iter().map(WakeTarget::Repository);
        let prefixes = wake.prefixes.into_iter().map(WakeTarget::Prefix);
        self.queue.request(repositories.chain(prefixes));
    }

    /// Sends wake-ups to the cache; never returns.
    pub(super) async fn run(&self) {
        loop {
            let targets = self.queue.next().await;
            self.send(&targets).await;
            sleep(BATCH).await;
        }
    }

    /// Sends what still waits, and waits for the messages that are being sent.
    pub(super) async fn finish(&self) {
        let end = async {
            self.send(&self.queue.drain()).await;
            // The semaphore is never closed.
            let _ = self.free.acquire_many(MOST_MESSAGES as u32).await;
        };
        if timeout(END_TIMEOUT, end).await.is_err() {
            tracing::info!("the last wake-ups did not reach the cache in time");
        }
    }

    /// Starts to send; waits only while too many messages are being sent.
    async fn send(&self, targets: &[WakeTarget]) {
        for targets in targets.chunks(MOST_ADDRESSES) {
            let mut wake = Wake::default();
            for target in targets.iter().cloned() {
                match target {
                    WakeTarget::Repository(url) => wake.repositories.push(url),
                    WakeTarget::Prefix(url) => wake.prefixes.push(url),
                }
            }
            // The semaphore is never closed.
            if let Ok(permit) = self.free.clone().acquire_owned().await {
                let cache = self.cache.clone();
                tokio::spawn(async move {
                    cache.send(wake).await;
                    drop(permit);
                });
            }
        }
    }
}
