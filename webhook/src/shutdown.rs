//! Graceful shutdown.
//!
//! A Pod that is being deleted stays in the endpoints for a while, and every call that fails
//! meanwhile is a Pod rejected somewhere (openchoreo/openchoreo#3723 measured 181 of 788). So the
//! shutdown has stages: not ready but serving, then no new connections, then the end.

#[cfg(unix)]
mod signals;

use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::watch;
use tokio::time::timeout;

#[cfg(unix)]
pub use self::signals::Signals;

/// The stage of the shutdown; `/metrics` exposes it as a number.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// No signal has arrived.
    #[default]
    Serving,
    /// Not ready; every answer closes its connection, so that callers move to another replica.
    Leaving,
    /// No new connection is accepted; calls in flight finish.
    Stopping,
}

/// Timeout of calls in flight after the last connection was accepted.
pub const FINISH_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum length of the drain, in multiples of its delay, while clients still connect. The chart's
/// `terminationGracePeriodSeconds` has room for it.
pub const MAX_DRAIN_FACTOR: u32 = 4;

/// Waits until no connection has been accepted for `quiet`, for at most [`MAX_DRAIN_FACTOR`] times that;
/// returns whether that happened.
///
/// No fixed time is right: how long a node keeps an endpoint that is gone depends on its load, on
/// the endpoint controller's retries and on the proxy. But every answer closes its connection, so a
/// client that still has the endpoint connects again, and one without it does not.
pub async fn quiet(accepted: &Notify, quiet: Duration) -> bool {
    let silence = async { while timeout(quiet, accepted.notified()).await.is_ok() {} };
    timeout(quiet * MAX_DRAIN_FACTOR, silence).await.is_ok()
}

/// Waits for a stage; a dropped sender counts as the last one.
pub async fn reached(stage: &mut watch::Receiver<Stage>, wanted: Stage) {
    // An error means that the sender is gone, and the server with it.
    let _ = stage.wait_for(|now| *now >= wanted).await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::Instant;
    use tokio::time::sleep;

    use super::*;

    const DELAY: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_drain_without_new_connections_takes_its_delay() {
        let begun = Instant::now();
        assert!(quiet(&Notify::new(), DELAY).await);
        assert_eq!(begun.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_lasts_while_clients_still_connect() {
        let accepted = Arc::new(Notify::new());
        let caller = Arc::clone(&accepted);
        let calls = tokio::spawn(async move {
            for _ in 0..7 {
                sleep(Duration::from_secs(1)).await;
                caller.notify_one();
            }
        });
        let begun = Instant::now();
        assert!(quiet(&accepted, DELAY).await);
        assert_eq!(begun.elapsed().as_secs(), 7 + 5);
        calls.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_after_four_delays_though_a_client_keeps_connecting() {
        let accepted = Arc::new(Notify::new());
        let caller = Arc::clone(&accepted);
        let calls = tokio::spawn(async move {
            loop {
                sleep(Duration::from_secs(1)).await;
                caller.notify_one();
            }
        });
        let begun = Instant::now();
        assert!(!quiet(&accepted, DELAY).await);
        assert_eq!(begun.elapsed().as_secs(), 20);
        calls.abort();
    }
}
