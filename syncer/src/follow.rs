//! The loop of one repository: passes, and the waits between them.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::auth::Stamp;
use crate::clone::Cloner;
use crate::config::LayoutConfig;
use crate::config::RepoConfig;
use crate::git::Git;
use crate::health::Phase;
use crate::limits::Limits;
use crate::owner::Owned;
use crate::owner::OwnerError;
use crate::permits::Permits;
use crate::private::Private;
use crate::publish::Layout;
use crate::redact;
use crate::report::Report;
use crate::run::StartError;
use crate::standby;
use crate::standby::Standby;
use crate::sync::Sync;
use crate::sync::chain;
use crate::throttle::Throttle;

/// How often a failing syncer looks whether its Secret was changed; a few `stat` calls each.
const SECRET_CHECK: Duration = Duration::from_secs(1);

/// What all repositories of the process have in common.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) git: Git,
    pub(crate) permits: Permits,
    pub(crate) throttle: Throttle,
    /// git is the system's own, and the user lets us ask without it.
    pub(crate) polls: bool,
    /// Changes at each `--sync-on-signal`. A signal that comes during a pass is kept, and ends the
    /// wait after it at once.
    pub(crate) wake: watch::Receiver<()>,
}

/// How the following of a repository ended by itself.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It was to be synced one time, and is.
    Done,
    /// It failed as often as it may, or a hook of a one-time sync failed.
    GaveUp,
    /// Its directories cannot be used, and it is the process's only one.
    NotStarted(StartError),
}

/// Follows one repository until a limit is reached.
///
/// What keeps the only repository of a process from starting ends the process at once, as in
/// git-sync. One of several is tried again like after any failure: the others go on meanwhile, and
/// the directory may be mended, or given free, without a restart.
pub(crate) async fn follow(config: Box<RepoConfig>, report: Report, common: Common) -> Ended {
    let health = report.health.clone();
    let ended = keep_following(config, common, report).await;
    health.is_now(match ended {
        Ended::Done => Phase::Done,
        Ended::GaveUp | Ended::NotStarted(_) => Phase::GaveUp,
    });
    ended
}

async fn keep_following(mut config: Box<RepoConfig>, common: Common, mut report: Report) -> Ended {
    let mut limits = Limits::new(&config);
    let mut wake = common.wake.clone();
    loop {
        let began = Instant::now();
        let error = match take(&mut config, &common, &mut limits, &mut report, &mut wake).await {
            Ok(Taken::Follower(mut follower)) => {
                drop(config);
                let owned = std::mem::take(&mut follower.owned);
                let ended = tokio::select! {
                    ended = follower.follow(limits, report, wake) => ended,
                    // Another syncer writes there from now on.
                    () = lost(&owned) => Ended::GaveUp,
                };
                // Before the directories are given up.
                drop(follower);
                return ended;
            }
            Ok(Taken::Standby(Standby::Free)) => continue,
            Ok(Taken::Standby(Standby::Ended(ended))) => return ended,
            Err(error) if config.name.is_none() => return Ended::NotStarted(error),
            Err(error) => redact::redact(&chain(&error)),
        };
        let Some(wait) = limits.after_failure(&error, began.elapsed(), &report) else {
            return Ended::GaveUp;
        };
        report.health.waits(wait);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = signalled(&mut wake) => {}
        }
        report.health.is_now(Phase::Syncing);
    }
}

/// What became of the attempt to take the directories.
enum Taken {
    Follower(Box<Follower>),
    /// Another syncer had them.
    Standby(Standby),
}

/// Takes the directories, or waits beside the syncer of the same repository that has them.
async fn take(
    config: &mut Box<RepoConfig>,
    common: &Common,
    limits: &mut Limits,
    report: &mut Report,
    wake: &mut watch::Receiver<()>,
) -> Result<Taken, StartError> {
    real_dirs(config)?;
    match Box::pin(Follower::new(config.clone(), common, report)).await {
        Ok(follower) => Ok(Taken::Follower(follower)),
        Err(StartError::Owner(OwnerError::Taken(dir))) => {
            let waiting = standby::wait(config, dir, common, limits, report, wake);
            Ok(Taken::Standby(Box::pin(waiting).await?))
        }
        Err(error) => Err(error),
    }
}

/// Waits until one of the directories is ours no more.
async fn lost(owned: &[Owned]) {
    match owned {
        [] => std::future::pending().await,
        [root] => root.lost().await,
        [root, state, ..] => tokio::select! {
            () = root.lost() => {}
            () = state.lost() => {}
        },
    }
}

/// Makes the directories that are not there, and frees the paths to them of symlinks.
fn real_dirs(config: &mut RepoConfig) -> Result<(), StartError> {
    config.root = real_dir(&config.root)?;
    if let LayoutConfig::Link { link } = &mut config.layout {
        // The link's target is relative, so the way to it must be free of symlinks.
        *link = config.root.join(&*link);
        if let (Some(dir), Some(name)) = (link.parent(), link.file_name()) {
            *link = real_dir(dir)?.join(name);
        }
    }
    if let LayoutConfig::Clone { dir } = &mut config.layout {
        let path = config.root.join(std::mem::take(dir));
        let real = real_dir(&path)?;
        if !real.starts_with(&config.root) {
            // Whoever writes to the volume could lead us to our own files.
            let root = config.root.clone();
            return Err(StartError::Outside { path, root });
        }
        config.root = real;
    }
    Ok(())
}

/// One repository and everything that is its own.
struct Follower {
    work: Work,
    owned: Vec<Owned>,
}

/// What is done for a repository.
enum Work {
    Follow(Box<Sync>),
    Clone(Box<Cloner>),
}

impl Follower {
    /// Takes the directories, whose paths are real ones; nothing is asked of the remote yet.
    async fn new(
        config: Box<RepoConfig>,
        common: &Common,
        report: &Report,
    ) -> Result<Box<Self>, StartError> {
        tracing::info!(
            url = %config.repo.url,
            "ref" = %config.rev,
            root = %config.root.display(),
            "following"
        );
        let mut owned = vec![Owned::take(&config.root).await?];
        if let Some(state) = &config.state {
            real_dir(state)?;
            owned.push(Owned::take(state).await?);
        }
        let private = Private::open(&config).await.map_err(StartError::Private)?;
        let work = match Layout::of(&config) {
            None => Work::Clone(Box::new(Cloner::new(config, private, common, report)?)),
            Some(layout) => {
                let sync = Sync::new(*config, layout, private, common, report)?;
                Work::Follow(Box::new(sync))
            }
        };
        Ok(Box::new(Self { work, owned }))
    }

    /// Passes, and waits between them, until a limit is reached.
    async fn follow(
        &mut self,
        mut limits: Limits,
        mut report: Report,
        mut wake: watch::Receiver<()>,
    ) -> Ended {
        let sync = match &mut self.work {
            Work::Follow(sync) => sync,
            Work::Clone(cloner) => return Box::pin(cloner.follow(limits, report)).await,
        };
        loop {
            report.health.is_now(Phase::Syncing);
            // In a box, which is there while the pass runs: see the test below.
            let passed = match Box::pin(sync.once()).await {
                Ok(Some(pass)) => Ok(pass),
                Ok(None) => {
                    let secret = sync.last_secret_stamp();
                    tokio::select! {
                        () = next_pass(sync, &mut limits, &report, Duration::ZERO, Some(secret)) => {}
                        () = signalled(&mut wake) => {}
                    }
                    continue;
                }
                Err(error) => Err(redact::redact(&chain(&error))),
            };
            if let Err(error) = sync.status.ended(passed.as_ref().err().cloned()) {
                tracing::error!(
                    error = chain(&error),
                    "cannot write the state for the probe"
                );
            }
            let (wait, secret) = match passed {
                Ok(pass) => {
                    report.succeeded(pass.outcome, sync.took());
                    Box::pin(sync.clean_up(pass)).await;
                    if limits.is_one_time() {
                        return end(sync).await;
                    }
                    if sync.is_pinned() {
                        limits.lift();
                    }
                    (limits.after_success(), None)
                }
                Err(error) => match limits.after_failure(&error, sync.took(), &report) {
                    Some(wait) => (wait, Some(sync.last_secret_stamp())),
                    None => return Ended::GaveUp,
                },
            };
            tokio::select! {
                () = next_pass(sync, &mut limits, &report, wait, secret) => {}
                () = signalled(&mut wake) => {}
            }
        }
    }
}

/// Waits, in the end of a one-time sync, for what the hooks say.
async fn end(sync: &mut Sync) -> Ended {
    let are_well = sync.hooks.first_attempts().await;
    tracing::info!(status = u8::from(!are_well), "exiting after one sync");
    if are_well { Ended::Done } else { Ended::GaveUp }
}

/// Waits until the next pass is due: this long, and longer if the server asked to be left alone, be
/// it through another repository.
async fn next_pass(
    sync: &Sync,
    limits: &mut Limits,
    report: &Report,
    mut wait: Duration,
    secret: Option<Stamp>,
) {
    loop {
        if let Some(rest) = sync.rest() {
            wait = wait.max(limits.lengthened(rest));
        }
        report.health.waits(wait);
        tracing::info!(v = 3, waitTime = ?wait, "next sync");
        let is_mended = sleep_unless_mended(sync, secret.as_ref(), wait).await;
        if is_mended || sync.rest().is_none() {
            return;
        }
        wait = Duration::ZERO;
    }
}

/// Waits; after a failure a Secret that is changed meanwhile may be what was missing, and ends it.
async fn sleep_unless_mended(sync: &Sync, secret: Option<&Stamp>, wait: Duration) -> bool {
    let Some(secret) = secret else {
        tokio::time::sleep(wait).await;
        return false;
    };
    sleep_unless(|| sync.secret_stamp() != *secret, wait).await
}

/// Waits, unless the credentials are mended meanwhile; tells whether they were.
pub(crate) async fn sleep_unless(is_mended: impl Fn() -> bool, wait: Duration) -> bool {
    let end = Instant::now() + wait;
    while Instant::now() < end {
        if is_mended() {
            return true;
        }
        tokio::time::sleep_until(end.min(Instant::now() + SECRET_CHECK)).await;
    }
    false
}

/// Waits for the signal that asks for a pass.
pub(crate) async fn signalled(wake: &mut watch::Receiver<()>) {
    if wake.changed().await.is_err() {
        // Nobody is left who could ask.
        std::future::pending::<()>().await;
    }
    tracing::info!(v = 1, "a signal asks for a sync");
}

/// Makes a directory if it is not there, and gives its path without symlinks.
fn real_dir(path: &Path) -> Result<PathBuf, StartError> {
    let made = fs::create_dir_all(path).and_then(|()| fs::canonicalize(path));
    made.map_err(|source| StartError::Make {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What runs for a moment is in a box of its own, so that the task of a repository that waits,
    /// as each of hundreds does most of the time, is small.
    #[test]
    fn the_task_of_a_waiting_repository_is_small() {
        fn size_of_future<F>(_: impl FnOnce(Box<RepoConfig>, Report, Common) -> F) -> usize {
            size_of::<F>()
        }
        let size = size_of_future(follow);
        assert!(size < 4096, "{size}");
    }
}
