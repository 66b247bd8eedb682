//! The stages of an orderly end.
//!
//! A Pod that is asked to stop is still in the endpoints for a while, and every call that is lost
//! then is a Pod refused somewhere (openchoreo/openchoreo#3723 measured 181 of 788). So we go in
//! stages: not ready but serving, then no new connections, then the end.

use std::io;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::Notify;
use tokio::sync::watch;
use tokio::time::timeout;

/// How far the end has come; `/metrics` shows it as a number.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// Nobody asked us to stop.
    #[default]
    Serving,
    /// Not ready; every answer closes its connection, so that callers move to another replica.
    Leaving,
    /// No new connection is taken; calls in flight finish.
    Stopping,
}

/// How long calls in flight may take after the last connection was accepted.
pub const FINISH_TIMEOUT: Duration = Duration::from_secs(10);

/// How many times the drain's delay somebody who still connects may hold it up. The chart's
/// `terminationGracePeriodSeconds` has room for it.
pub const PATIENCE: u32 = 4;

/// Waits until nobody has connected for `quiet`, for [`PATIENCE`] times that at most.
///
/// No fixed time is right: how long a node keeps an endpoint that is gone is up to its load, to
/// the endpoint controller's retries and to the proxy. But as every answer closes its connection,
/// who still has us comes again, and who has not does not. Returns whether it was quiet.
pub async fn quiet(accepted: &Notify, quiet: Duration) -> bool {
    let silence = async { while timeout(quiet, accepted.notified()).await.is_ok() {} };
    timeout(quiet * PATIENCE, silence).await.is_ok()
}

/// Waits for a stage; a sender that is gone counts as the last one.
pub async fn reached(stage: &mut watch::Receiver<Stage>, wanted: Stage) {
    // The error is "no sender": then nobody keeps the server any more.
    let _ = stage.wait_for(|now| *now >= wanted).await;
}

/// SIGTERM, SIGINT and SIGHUP, which mean the same here: the one who started us wants us to end.
#[derive(Debug)]
pub struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes the signals over from now on.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one and names it.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.hangup.recv() => "SIGHUP",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::Instant;
    use tokio::time::sleep;

    use super::*;

    const DELAY: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_drain_that_nobody_disturbs_takes_its_delay() {
        let begun = Instant::now();
        assert!(quiet(&Notify::new(), DELAY).await);
        assert_eq!(begun.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn who_still_connects_is_waited_for() {
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
    async fn who_never_stops_connecting_is_not_waited_for_for_ever() {
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
