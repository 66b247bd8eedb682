//! Reports the passes of one repository to metrics, health, and the files of `--error-file` and
//! `--touch-file`.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::config::RepoConfig;
use crate::error::chain;
use crate::observe::error_file::ErrorFile;
use crate::observe::health::RepoHealth;
use crate::observe::http::Answers;
use crate::observe::metrics::RepoMetrics;
use crate::observe::metrics::figures::Ending;
use crate::system::files;

/// The reports about one repository.
pub(crate) struct Report {
    pub(crate) metrics: RepoMetrics,
    pub(crate) health: RepoHealth,
    error_file: ErrorFile,
    /// An absolute path.
    touch_file: Option<PathBuf>,
    has_succeeded: bool,
}

impl Report {
    /// Starts with a repository that has not succeeded; relative paths are relative to its root.
    pub(crate) fn new(config: &RepoConfig, answers: &Answers) -> Self {
        let name = config.name.as_deref();
        let (root, touch_file) = (&config.root, &config.touch_file);
        Self {
            metrics: answers.metrics.for_repo(name),
            health: answers.health.for_repo(
                name,
                &config.repo.url,
                config.rev.as_str(),
                config.stale_after,
                config.state.as_deref(),
            ),
            error_file: ErrorFile::new(root, config.error_file.as_deref()),
            touch_file: touch_file.as_ref().map(|file| root.join(file)),
            has_succeeded: false,
        }
    }

    /// Reports a success. The first one counts as a change, whatever the disk held before, as in
    /// git-sync.
    pub(crate) fn succeeded(&mut self, outcome: Outcome, took: Duration) {
        let is_first = !std::mem::replace(&mut self.has_succeeded, true);
        let has_changed = is_first || outcome == Outcome::Updated;
        self.health.succeeded();
        if let Some(file) = self.touch_file.as_deref().filter(|_| has_changed) {
            touch(file);
        }
        let ending = if has_changed {
            Ending::Success
        } else {
            Ending::Noop
        };
        self.metrics.count_sync(ending, took);
        self.error_file.remove();
    }

    /// Reports a failure with the text of the log.
    pub(crate) fn failed(
        &self,
        message: &str,
        error: &str,
        args: &[(&str, Value)],
        took: Duration,
    ) {
        self.health.failed(error);
        self.metrics.count_sync(Ending::Error, took);
        self.error_file.write(message, error, args);
    }
}

fn touch(file: &Path) {
    if let Err(error) = files::touch_file(file) {
        tracing::error!(
            error = chain(&error),
            path = %file.display(),
            "cannot touch the touch-file"
        );
    }
}

/// What a successful pass did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Unchanged,
    Updated,
}
