use std::sync::Mutex;
use std::time::Instant;

use crate::lock::lock;

/// The number of verified deliveries per second, and the size of a burst.
const PER_SECOND: f64 = 100.0;

/// The limit of verified deliveries per second, over all secrets: a token bucket.
///
/// Forged deliveries do not count, so that they cannot displace real ones.
#[derive(Debug)]
pub(crate) struct DeliveryRate(Mutex<Bucket>);

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl DeliveryRate {
    /// A full bucket.
    pub(crate) fn new(now: Instant) -> Self {
        Self(Mutex::new(Bucket {
            tokens: PER_SECOND,
            filled: now,
        }))
    }

    /// Whether one more delivery is within the limit; counts it if so.
    pub(crate) fn allows(&self, now: Instant) -> bool {
        let mut bucket = lock(&self.0);
        let passed = now.saturating_duration_since(bucket.filled);
        bucket.filled = now.max(bucket.filled);
        bucket.tokens = (bucket.tokens + passed.as_secs_f64() * PER_SECOND).min(PER_SECOND);
        let is_allowed = bucket.tokens >= 1.0;
        if is_allowed {
            bucket.tokens -= 1.0;
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_is_allowed_and_then_a_hundred_per_second() {
        let now = Instant::now();
        let rate = DeliveryRate::new(now);
        let allowed = |at: Instant| (0..1000).filter(|_| rate.allows(at)).count();
        assert_eq!(allowed(now), 100);
        assert_eq!(allowed(now + Duration::from_millis(505)), 50);
        assert_eq!(allowed(now + Duration::from_secs(60)), 100);
        // A clock reading that is older than the last one adds nothing.
        assert_eq!(allowed(now), 0);
    }
}
