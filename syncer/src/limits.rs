//! How often a repository may fail, and how long to wait then.

use std::time::Duration;

use crate::config::RepoConfig;
use crate::pace::Pace;
use crate::report::Report;

/// git-sync's words for a failed pass, in the log and in the error-file.
const WILL_RETRY: &str = "error syncing repo, will retry";
const TOO_MANY: &str = "too many failures, aborting";

/// What one repository may do before it is given up.
pub(crate) struct Limits {
    pace: Pace,
    one_time: bool,
    /// How many failures in a row are too many; negative: none are.
    max_failures: i64,
    /// The same until the first success, where it differs.
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

    /// Tells whether the first success is the end.
    pub(crate) fn is_one_time(&self) -> bool {
        self.one_time
    }

    /// From now on failures never end it.
    pub(crate) fn lift(&mut self) {
        self.max_failures = -1;
    }

    /// Forgets the failures; gives the wait before the next pass.
    pub(crate) fn after_success(&mut self) -> Duration {
        self.failures = 0;
        self.init_max_failures = None;
        self.pace.after_success()
    }

    /// Counts a failure and tells of it; gives the wait before the next pass, if there is one.
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

    /// A wait that a server asked for, lengthened by chance: many were asked alike.
    pub(crate) fn lengthened(&mut self, wait: Duration) -> Duration {
        self.pace.lengthened(wait)
    }

    fn most(&self) -> i64 {
        self.init_max_failures.unwrap_or(self.max_failures)
    }
}
