//! The limit of repository checks for failures that a check does not fix.

use std::time::Duration;

use tokio::time::Instant;

use crate::repo::sync::error::Aftermath;
use crate::repo::sync::error::PassError;
use crate::repo::sync::error::Stage;

/// The period in which a failure that a check did not fix leads to no further check, and the
/// maximum number of checks in it for any failures, unless a pass succeeds.
const CHECKS_HOLD: Duration = Duration::from_secs(10 * 60);
const MAX_CHECKS: usize = 3;

/// The repository checks since the last success.
#[derive(Default)]
pub(super) struct RepositoryChecks {
    /// The time of the first of them.
    since: Option<Instant>,
    /// The failures that led to a check.
    failures: Vec<(Stage, String)>,
}

impl RepositoryChecks {
    /// The aftermath of a failure. A check of all objects, or a new repository, that did not fix
    /// the same failure is not repeated at each retry.
    pub(super) fn bounded(&mut self, error: &PassError) -> Aftermath {
        let aftermath = error.aftermath();
        if aftermath < Aftermath::Verify {
            return aftermath;
        }
        if self
            .since
            .is_none_or(|since| since.elapsed() >= CHECKS_HOLD)
        {
            self.since = Some(Instant::now());
            self.failures.clear();
        }
        let failure = error.identity();
        let are_enough = self.failures.len() >= MAX_CHECKS && aftermath < Aftermath::Recreate;
        if are_enough || self.failures.contains(&failure) {
            return Aftermath::Tidy;
        }
        self.failures.push(failure);
        aftermath
    }
}
