//! When to try again: gently, and never all Pods at once.

use std::hash::BuildHasher;
use std::hash::RandomState;
use std::time::Duration;

/// Retries that come one period after the failure, before the wait begins to double.
const PROMPT_RETRIES: u32 = 3;

/// Where doubling ends, unless the period itself is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Decides how long to wait between passes.
pub(crate) struct Pace {
    period: Duration,
    failures: u32,
    has_succeeded: bool,
}

impl Pace {
    /// A pace whose steady step is `period`.
    pub(crate) fn new(period: Duration) -> Self {
        Self {
            period,
            failures: 0,
            has_succeeded: false,
        }
    }

    /// The wait after a success. The first has a random length, so that Pods started together do
    /// not ask together; the others vary by a tenth.
    pub(crate) fn after_success(&mut self) -> Duration {
        self.failures = 0;
        let factor = if std::mem::replace(&mut self.has_succeeded, true) {
            0.9 + 0.2 * random()
        } else {
            1.0 - 0.9 * random()
        };
        self.period.mul_f64(factor)
    }

    /// The wait after a failure; chance only makes it longer.
    pub(crate) fn after_failure(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let doublings = self.failures.saturating_sub(PROMPT_RETRIES).min(31);
        let longest = self.period.max(LONGEST_WAIT);
        let wait = self.period.saturating_mul(1 << doublings).min(longest);
        wait.mul_f64(1.0 + 0.2 * random())
    }
}

/// A number from 0 to 1; the standard library's hash seeds are random enough to spread Pods.
fn random() -> f64 {
    f64::from(RandomState::new().hash_one(()) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_within(wait: Duration, low: f64, high: f64) {
        let seconds = wait.as_secs_f64();
        assert!((low..=high).contains(&seconds), "{seconds}: {low}..{high}");
    }

    #[test]
    fn three_retries_are_prompt_and_then_the_wait_doubles_to_a_minute() {
        let mut pace = Pace::new(Duration::from_secs(10));
        for seconds in [10.0, 10.0, 10.0, 20.0, 40.0, 60.0, 60.0] {
            assert_within(pace.after_failure(), seconds, seconds * 1.2);
        }
        pace.after_success();
        assert_within(pace.after_failure(), 10.0, 12.0);
    }

    #[test]
    fn a_period_over_a_minute_is_never_shortened_by_failures() {
        let mut pace = Pace::new(Duration::from_secs(300));
        for _ in 0..40 {
            assert_within(pace.after_failure(), 300.0, 360.0);
        }
    }

    #[test]
    fn steady_polls_vary_by_a_tenth_after_a_random_first() {
        let mut pace = Pace::new(Duration::from_secs(10));
        assert_within(pace.after_success(), 1.0, 10.0);
        for _ in 0..100 {
            assert_within(pace.after_success(), 9.0, 11.0);
        }
    }
}
