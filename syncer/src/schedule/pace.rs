//! The back-off between passes, with jitter, so that Pods do not act in step.

use std::hash::BuildHasher;
use std::hash::RandomState;
use std::time::Duration;

use fastrand::Rng;

#[cfg(test)]
mod simulation;

/// The number of retries after one period each, before the wait starts to double.
const PROMPT_RETRIES: u32 = 3;

/// The upper bound of the doubled wait, unless the period itself is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The maximum jitter after a failure, as a fraction of the wait.
const LENGTHENING: f64 = 0.2;

/// The waits between passes.
pub(crate) struct Pace {
    period: Duration,
    init_period: Duration,
    failures: u32,
    has_succeeded: bool,
    /// Whether the phase of the polls within the period is random, and not set by an event common
    /// to all Pods.
    is_spread: bool,
    dice: Rng,
}

impl Pace {
    /// A pace with the period `init_period` until the first success, then `period`.
    pub(crate) fn new(period: Duration, init_period: Duration) -> Self {
        // The hash seeds of the standard library come from the system's random numbers: they differ
        // in each Pod.
        Self::with_dice(
            period,
            init_period,
            Rng::with_seed(RandomState::new().hash_one(())),
        )
    }

    fn with_dice(period: Duration, init_period: Duration, dice: Rng) -> Self {
        Self {
            period,
            init_period,
            failures: 0,
            has_succeeded: false,
            is_spread: false,
            dice,
        }
    }

    /// The wait after a success. The first one, and the first one after a failure, has a random
    /// length, so that Pods that started together or had the same outage do not poll together; the
    /// others vary by a tenth.
    pub(crate) fn after_success(&mut self) -> Duration {
        self.failures = 0;
        self.has_succeeded = true;
        let factor = if std::mem::replace(&mut self.is_spread, true) {
            0.9 + 0.2 * self.dice.f64()
        } else {
            1.0 - 0.9 * self.dice.f64()
        };
        self.period.mul_f64(factor)
    }

    /// The wait after a failure; jitter only lengthens it.
    pub(crate) fn after_failure(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.is_spread = false;
        let step = if self.has_succeeded {
            self.period
        } else {
            self.init_period
        };
        let doublings = self.failures.saturating_sub(PROMPT_RETRIES).min(31);
        let longest = step.max(self.period).max(LONGEST_WAIT);
        let wait = step.saturating_mul(1 << doublings).min(longest);
        self.lengthened(wait)
    }

    /// A wait that many Pods got alike, lengthened by jitter.
    pub(crate) fn lengthened(&mut self, wait: Duration) -> Duration {
        wait.mul_f64(1.0 + LENGTHENING * self.dice.f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(period: u64, init_period: u64) -> Pace {
        Pace::new(
            Duration::from_secs(period),
            Duration::from_secs(init_period),
        )
    }

    fn assert_within(wait: Duration, low: f64, high: f64) {
        let seconds = wait.as_secs_f64();
        assert!((low..=high).contains(&seconds), "{seconds}: {low}..{high}");
    }

    #[test]
    fn three_retries_are_prompt_and_then_the_wait_doubles_to_a_minute() {
        let mut pace = pace(10, 10);
        for seconds in [10.0, 10.0, 10.0, 20.0, 40.0, 60.0, 60.0] {
            assert_within(pace.after_failure(), seconds, seconds * 1.2);
        }
        pace.after_success();
        assert_within(pace.after_failure(), 10.0, 12.0);
    }

    #[test]
    fn until_the_first_success_the_step_is_the_initial_one() {
        let mut pace = pace(10, 1);
        for seconds in [1.0, 1.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0] {
            assert_within(pace.after_failure(), seconds, seconds * 1.2);
        }
        pace.after_success();
        for seconds in [10.0, 10.0, 10.0, 20.0] {
            assert_within(pace.after_failure(), seconds, seconds * 1.2);
        }
    }

    #[test]
    fn a_period_over_a_minute_is_never_shortened_by_failures() {
        let mut pace = pace(300, 1);
        pace.after_success();
        for _ in 0..40 {
            assert_within(pace.after_failure(), 300.0, 360.0);
        }
    }

    #[test]
    fn steady_polls_vary_by_a_tenth_after_a_random_first() {
        let mut pace = pace(10, 10);
        for _ in 0..2 {
            assert_within(pace.after_success(), 1.0, 10.0);
            for _ in 0..100 {
                assert_within(pace.after_success(), 9.0, 11.0);
            }
            pace.after_failure();
        }
    }
}
