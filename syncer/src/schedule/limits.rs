//! The limits of failures of a repository, and the waits after them.

use std::time::Duration;

use crate::config::RepoConfig;
use crate::observe::report::Report;
use crate::schedule::pace::Pace;

/// git-sync's message for a failed pass, in the log and in the error file.
const WILL_RETRY: &str = "error syncing repo, will retry";
const TOO_MANY: &str = "too many failures, aborting";

/// The limits and the failure count of one repository.
pub(crate) struct Limits {
    pace: Pace,
    one_time: bool,
    /// The maximum number of consecutive failures; negative means no limit.
    max_failures: i64,
    /// The same until the first success, if it differs.
    init_max_failures: Option<i64>,
    failures: i64,
}

impl Limits {
    pub(crate) fn new(config: &RepoConfig) -> Self {
        Self {
            pace: Pace::new(config.period, config.init_period),
            one_time: config.one_time,
            max_failures: config.max_failures,
            init_max_failures: config.init_max_failures,
            failures: 0,
        }
    }

    /// Whether the loop ends after the first success.
    pub(crate) fn is_one_time(&self) -> bool {
        self.one_time
    }

    /// Removes the limit of failures from now on.
    pub(crate) fn lift(&mut self) {
        self.max_failures = -1;
    }

    /// Resets the failure count; returns the wait before the next pass.
    pub(crate) fn after_success(&mut self) -> Duration {
        self.failures = 0;
        self.init_max_failures = None;
        self.pace.after_success()
    }

    /// Counts and reports a failure; returns the wait before the next pass, or `None` at the limit.
    pub(crate) fn after_failure(
        &mut self,
        error: &str,
        took: Duration,
        report: &Report,
    ) -> Option<Duration> {
        self.failures += 1;
        let (count, most) = (self.failures, self.most());
        if most >= 0 && count >= most {
            tracing::error!(error, failCount = count, maxFailures = most, "{TOO_MANY}");
            let args = [("failCount", count.into()), ("maxFailures", most.into())];
            report.failed(TOO_MANY, error, &args, took);
            return None;
        }
        let wait = self.pace.after_failure();
        tracing::error!(error, failCount = count, waitTime = ?wait, "{WILL_RETRY}");
        report.failed(WILL_RETRY, error, &[("failCount", count.into())], took);
        Some(wait)
    }

    /// A wait that a server requested, with jitter: many clients got the same value.
    pub(crate) fn lengthened(&mut self, wait: Duration) -> Duration {
        self.pace.lengthened(wait)
    }

    fn most(&self) -> i64 {
        self.init_max_failures.unwrap_or(self.max_failures)
    }
}
