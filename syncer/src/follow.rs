//! The loop of one repository: passes, and the waits between them.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
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
use crate::permits::Permits;
use crate::private::Private;
use crate::redact;
use crate::run::StartError;
use crate::sync::Sync;
use crate::sync::chain;

/// How often a failing syncer looks whether its Secret was changed; a few `stat` calls each.
const SECRET_CHECK: Duration = Duration::from_secs(1);

/// What all repositories of the process have in common.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) git: Git,
    pub(crate) answers: Arc<Answers>,
    pub(crate) permits: Permits,
}

/// How the following of a repository ended by itself.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It was to be synced one time, and is.
    Done,
    /// It failed as often as it may.
    GaveUp,
    /// Its directories cannot be used, and it is the process's only one.
    NotStarted(StartError),
}

/// Follows one repository until a limit is reached.
///
/// What keeps the only repository of a process from starting ends the process at once, as in
/// git-sync. One of several is tried again like after any failure: the others go on meanwhile, and
/// the directory may be mended, or given free, without a restart.
pub(crate) async fn follow(config: RepoConfig, common: Common) -> Ended {
    let mut limits = Limits {
        pace: Pace::new(config.period, config.init_period),
        one_time: config.one_time,
        max_failures: config.max_failures,
        failures: 0,
    };
    loop {
        let error = match Follower::new(config.clone(), common.clone()).await {
            Ok(mut follower) => return follower.follow(limits).await,
            Err(error) if config.name.is_none() => return Ended::NotStarted(error),
            Err(error) => redact::redact(&chain(&error)),
        };
        match limits.after_failure(&error) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return Ended::GaveUp,
        }
    }
}

/// One repository and everything that is its own.
struct Follower {
    sync: Sync,
    answers: Arc<Answers>,
    metrics: RepoMetrics,
    _owned: Vec<Owned>,
}

impl Follower {
    /// Takes the directories; nothing is asked of the remote yet.
    async fn new(mut config: RepoConfig, common: Common) -> Result<Self, StartError> {
        if let Some(credentials) = &config.repo.credentials {
            redact::hide(&credentials.password);
        }
        tracing::info!(
            url = %config.repo.url,
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
        let mut owned = vec![Owned::take(&config.root).await?];
        if let Some(state) = &config.state {
            real_dir(state)?;
            owned.push(Owned::take(state).await?);
        }
        let metrics = common.answers.metrics.for_repo(config.name.as_deref());
        let private = Private::open(&config).map_err(StartError::Private)?;
        Ok(Self {
            sync: Sync::new(config, private, common.git, common.permits, metrics.clone())?,
            answers: common.answers,
            metrics,
            _owned: owned,
        })
    }

    /// Passes, and waits between them, until a limit is reached.
    async fn follow(&mut self, mut limits: Limits) -> Ended {
        let Self {
            sync,
            answers,
            metrics,
            ..
        } = self;
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
                    limits.failures = 0;
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
                        return Ended::Done;
                    }
                    limits.pace.after_success()
                }
                (Err(_), error) => {
                    metrics.count_sync(Ending::Error, started.elapsed());
                    match limits.after_failure(&error.unwrap_or_default()) {
                        Some(wait) => wait,
                        None => return Ended::GaveUp,
                    }
                }
            };
            tracing::info!(v = 3, waitTime = ?wait, "next sync");
            if limits.failures == 0 {
                tokio::time::sleep(wait).await;
            } else {
                sleep_unless_mended(sync, &secret, wait).await;
            }
        }
    }
}

/// How often it may fail, and how long to wait then.
struct Limits {
    pace: Pace,
    one_time: bool,
    max_failures: i64,
    failures: i64,
}

impl Limits {
    /// Counts a failure and tells of it; gives the wait before the next pass, if there is one.
    fn after_failure(&mut self, error: &str) -> Option<Duration> {
        self.failures += 1;
        if self.max_failures >= 0 && self.failures >= self.max_failures {
            tracing::error!(
                error,
                failCount = self.failures,
                "too many failures, aborting"
            );
            return None;
        }
        let wait = self.pace.after_failure();
        tracing::error!(
            error,
            failCount = self.failures,
            waitTime = ?wait,
            "error syncing repo, will retry"
        );
        Some(wait)
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
