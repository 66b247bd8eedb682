//! Replicas that failed a moment ago.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// The pause after the first failure of a replica; each further one doubles it.
const FIRST: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);

/// The pauses by the address of a replica.
#[derive(Debug, Default)]
pub(crate) struct PeerBackoff(HashMap<IpAddr, PeerPause>);

#[derive(Debug)]
struct PeerPause {
    until: Instant,
    next: Duration,
}

impl PeerBackoff {
    /// Whether a replica may be asked now.
    pub(crate) fn is_over(&self, ip: IpAddr) -> bool {
        let pause = self.0.get(&ip);
        pause.is_none_or(|pause| pause.until <= Instant::now())
    }

    /// Records a failure; returns whether it is the first one since a success.
    pub(crate) fn record_failure(&mut self, ip: IpAddr) -> bool {
        let now = Instant::now();
        let known = self.0.get(&ip);
        // Requests that were sent before the pause fail together.
        if known.is_some_and(|pause| pause.until > now) {
            return false;
        }
        let length = known.map_or(FIRST, |pause| pause.next);
        let pause = PeerPause {
            until: now + length,
            next: (length * 2).min(LONGEST),
        };
        self.0.insert(ip, pause).is_none()
    }

    /// Records an answer; returns whether failures preceded it.
    pub(crate) fn record_success(&mut self, ip: IpAddr) -> bool {
        self.0.remove(&ip).is_some()
    }

    /// Forgets replicas that are gone.
    pub(crate) fn retain(&mut self, is_known: impl Fn(IpAddr) -> bool) {
        self.0.retain(|ip, _| is_known(*ip));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_up_to_a_minute_and_an_answer_ends_them() {
        let ip = IpAddr::from([10, 0, 0, 1]);
        let mut backoff = PeerBackoff::default();
        assert!(backoff.is_over(ip));
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(backoff.record_failure(ip), seconds == 1);
            // Those of the same moment count once.
            assert!(!backoff.record_failure(ip));
            tokio::time::advance(Duration::from_secs(seconds) - Duration::from_millis(1)).await;
            assert!(!backoff.is_over(ip), "{seconds}");
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(backoff.is_over(ip), "{seconds}");
        }
        assert!(backoff.record_success(ip) && !backoff.record_success(ip));
        assert!(backoff.record_failure(ip));
        backoff.retain(|_| false);
        assert!(backoff.is_over(ip));
    }
}
