//! The loop of one repository: passes, and the waits between them.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::auth::Stamp;
use crate::config::LayoutConfig;
use crate::config::RepoConfig;
use crate::git::Git;
use crate::http::Answers;
use crate::metrics::Ending;
use crate::metrics::RepoMetrics;
use crate::owner::Owned;
use crate::pace::Pace;
use crate::private::Private;
use crate::redact;
use crate::run::FATAL;
use crate::run::StartError;
use crate::sync::Sync;
use crate::sync::chain;

/// How often a failing syncer looks whether its Secret was changed; a few `stat` calls each.
const SECRET_CHECK: Duration = Duration::from_secs(1);

/// One repository and everything that is its own.
pub(crate) struct Follower {
    sync: Sync,
    limits: Limits,
    answers: Arc<Answers>,
    metrics: RepoMetrics,
    _owned: Vec<Owned>,
}

impl Follower {
    /// Takes the directories; nothing is asked of the remote yet.
    pub(crate) fn new(
        mut config: RepoConfig,
        git: Git,
        answers: Arc<Answers>,
    ) -> Result<Self, StartError> {
        if let Some(credentials) = &config.repo.credentials {
            redact::hide(&credentials.password);
        }
        tracing::info!(
            repo = %config.repo.url,
            "ref" = %config.rev,
            root = %config.root.display(),
            "following"
        );
        config.root = real_dir(&config.root)?;
        if let LayoutConfig::Link { link } = &mut config.layout {
            // The link's target is relative, so the way to it must be free of symlinks.
            *link = config.root.join(&*link);
            if let (Some(dir), Some(name)) = (link.parent(), link.file_name()) {
                *link = real_dir(dir)?.join(name);
            }
        }
        let mut owned = vec![Owned::take(&config.root)?];
        if let Some(state) = &config.state {
            real_dir(state)?;
            owned.push(Owned::take(state)?);
        }
        let metrics = answers.metrics.for_repo(config.name.as_deref());
        let private = Private::open(&config).map_err(StartError::Private)?;
        let limits = Limits {
            pace: Pace::new(config.period, config.init_period),
            one_time: config.one_time,
            max_failures: config.max_failures,
        };
        Ok(Self {
            sync: Sync::new(config, private, git)?,
            limits,
            answers,
            metrics,
            _owned: owned,
        })
    }

    /// Follows the ref until a limit is reached.
    pub(crate) async fn follow(mut self) -> ExitCode {
        follow(&mut self.sync, self.limits, &self.answers, &self.metrics).await
    }
}

struct Limits {
    pace: Pace,
    one_time: bool,
    max_failures: i64,
}

/// Passes, and waits between them, until a limit is reached.
async fn follow(
    sync: &mut Sync,
    mut limits: Limits,
    answers: &Answers,
    metrics: &RepoMetrics,
) -> ExitCode {
    let mut failures: i64 = 0;
    let mut is_first = true;
    loop {
        let started = Instant::now();
        let secret = sync.secret_stamp();
        let outcome = sync.once().await;
        let error = outcome
            .as_ref()
            .err()
            .map(|error| redact::redact(&chain(error)));
        if let Err(error) = sync.status.ended(error.clone()) {
            tracing::error!(
                error = chain(&error),
                "cannot write the state for the probe"
            );
        }
        let wait = match (outcome, error) {
            (Ok(outcome), _) => {
                failures = 0;
                let ending = if is_first {
                    Ending::Success
                } else {
                    outcome.into()
                };
                metrics.count_sync(ending, started.elapsed());
                if ending == Ending::Success {
                    metrics.count_fetch();
                }
                answers.is_ready.store(true, Ordering::Relaxed);
                is_first = false;
                if limits.one_time {
                    return ExitCode::SUCCESS;
                }
                limits.pace.after_success()
            }
            (Err(_), error) => {
                failures += 1;
                metrics.count_sync(Ending::Error, started.elapsed());
                let error = error.unwrap_or_default();
                if limits.max_failures >= 0 && failures >= limits.max_failures {
                    tracing::error!(error, failCount = failures, "too many failures, aborting");
                    return ExitCode::from(FATAL);
                }
                let wait = limits.pace.after_failure();
                tracing::error!(
                    error,
                    failCount = failures,
                    waitTime = ?wait,
                    "error syncing repo, will retry"
                );
                wait
            }
        };
        tracing::info!(v = 3, waitTime = ?wait, "next sync");
        if failures == 0 {
            tokio::time::sleep(wait).await;
        } else {
            sleep_unless_mended(sync, &secret, wait).await;
        }
    }
}

/// Waits after a failure; a Secret that is changed meanwhile may be what was missing.
async fn sleep_unless_mended(sync: &Sync, secret: &Stamp, wait: Duration) {
    let end = Instant::now() + wait;
    while Instant::now() < end && sync.secret_stamp() == *secret {
        tokio::time::sleep_until(end.min(Instant::now() + SECRET_CHECK)).await;
    }
}

/// Makes a directory if it is not there, and gives its path without symlinks.
fn real_dir(path: &Path) -> Result<PathBuf, StartError> {
    let made = fs::create_dir_all(path).and_then(|()| fs::canonicalize(path));
    made.map_err(|source| StartError::Make {
        path: path.to_owned(),
        source,
    })
}
