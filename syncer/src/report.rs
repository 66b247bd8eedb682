//! Tells others how the passes of one repository go: the scraper, whoever asks for readiness, and the
//! two files of `--error-file` and `--touch-file`.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::config::RepoConfig;
use crate::error_file::ErrorFile;
use crate::files;
use crate::health::RepoHealth;
use crate::http::Answers;
use crate::metrics::Ending;
use crate::metrics::RepoMetrics;
use crate::sync::Outcome;
use crate::sync::chain;

/// What is told of one repository.
pub(crate) struct Report {
    pub(crate) metrics: RepoMetrics,
    pub(crate) health: RepoHealth,
    error_file: ErrorFile,
    /// Absolute.
    touch_file: Option<PathBuf>,
    has_succeeded: bool,
}

impl Report {
    /// Begins with a repository that has not succeeded; its files are relative to its root.
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
            ),
            error_file: ErrorFile::new(root, config.error_file.as_deref()),
            touch_file: touch_file.as_ref().map(|file| root.join(file)),
            has_succeeded: false,
        }
    }

    /// Tells of a success. The first counts as a change, whatever was found on the disk, as in
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

    /// Tells of a failure in the words of the log.
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
