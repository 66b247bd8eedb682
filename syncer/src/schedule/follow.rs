//! The loop of one repository: passes, and the waits between them.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::LayoutConfig;
use crate::config::RepoConfig;
use crate::error::chain;
use crate::observe::health::Phase;
use crate::observe::report::Report;
use crate::redact;
use crate::remote::auth::Stamp;
use crate::remote::private::Private;
use crate::repo::context::SharedContext;
use crate::repo::publish;
use crate::repo::sync::RepoSyncer;
use crate::schedule::clone::RepoCloner;
use crate::schedule::ended::Ended;
use crate::schedule::limits::Limits;
use crate::schedule::standby;
use crate::schedule::standby::Standby;
use crate::schedule::start_error::StartError;
use crate::schedule::wait::requested;
use crate::schedule::wait::sleep_unless;
use crate::system::owner::Owned;
use crate::system::owner::OwnerError;

/// Follows one repository until a limit is reached.
///
/// An error at the start of a process's only repository ends the process at once, as in git-sync.
/// One of several repositories is retried as after any failure: the others continue, and the
/// directory may be repaired or released without a restart.
///
/// `wake` changes at each request for a pass. A request during a pass is kept and ends the next wait
/// at once.
pub(crate) async fn follow(
    config: Box<RepoConfig>,
    report: Report,
    common: SharedContext,
    wake: watch::Receiver<()>,
) -> Ended {
    let health = report.health.clone();
    let ended = keep_following(config, common, report, wake).await;
    health.set_phase(match ended {
        Ended::Done => Phase::Done,
        Ended::GaveUp | Ended::NotStarted(_) => Phase::GaveUp,
    });
    ended
}

async fn keep_following(
    mut config: Box<RepoConfig>,
    common: SharedContext,
    mut report: Report,
    mut wake: watch::Receiver<()>,
) -> Ended {
    let mut limits = Limits::new(&config);
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
                // It must be dropped before the directories are released.
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
        report.health.set_next_pass_in(wait);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = requested(&mut wake) => {}
        }
        report.health.set_phase(Phase::Syncing);
    }
}

/// The result of the attempt to take the directories.
enum Taken {
    Follower(Box<Follower>),
    /// Another syncer owned them.
    Standby(Standby),
}

/// Takes the directories, or waits in standby while another syncer of the same repository owns
/// them.
async fn take(
    config: &mut Box<RepoConfig>,
    common: &SharedContext,
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

/// Waits until another syncer has taken one of the directories.
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

/// Creates missing directories and resolves the symlinks in their paths.
fn real_dirs(config: &mut RepoConfig) -> Result<(), StartError> {
    config.root = real_dir(&config.root)?;
    if let LayoutConfig::Link { link } = &mut config.layout {
        // The link's target is relative, so the path to it must contain no symlinks.
        *link = config.root.join(&*link);
        if let (Some(dir), Some(name)) = (link.parent(), link.file_name()) {
            *link = real_dir(dir)?.join(name);
        }
    }
    if let LayoutConfig::Clone { dir } = &mut config.layout {
        let path = config.root.join(std::mem::take(dir));
        let real = real_dir(&path)?;
        if !real.starts_with(&config.root) {
            // Another container that writes to the volume could redirect the path to the syncer's
            // own files.
            let root = config.root.clone();
            return Err(StartError::Outside { path, root });
        }
        config.root = real;
    }
    Ok(())
}

/// One repository and its state.
struct Follower {
    work: Work,
    owned: Vec<Owned>,
}

/// The task of a repository.
enum Work {
    Follow(Box<RepoSyncer>),
    Clone(Box<RepoCloner>),
}

impl Follower {
    /// Takes the directories, whose paths contain no symlinks, without contacting the remote.
    async fn new(
        config: Box<RepoConfig>,
        common: &SharedContext,
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
        let work = match publish::layout_of(&config) {
            None => Work::Clone(Box::new(RepoCloner::new(config, private, common, report)?)),
            Some(layout) => {
                let sync = RepoSyncer::new(*config, layout, private, common, report)?;
                Work::Follow(Box::new(sync))
            }
        };
        Ok(Box::new(Self { work, owned }))
    }

    /// Runs passes, with waits between them, until a limit is reached.
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
            report.health.set_phase(Phase::Syncing);
            // Boxed, so that its memory exists only during the pass: see the test below.
            let passed = match Box::pin(sync.sync_once()).await {
                Ok(Some(pass)) => Ok(pass),
                Ok(None) => {
                    let secret = sync.last_secret_stamp();
                    tokio::select! {
                        () = next_pass(sync, &mut limits, &report, Duration::ZERO, Some(secret)) => {}
                        () = requested(&mut wake) => {}
                    }
                    continue;
                }
                Err(error) => Err(redact::redact(&chain(&error))),
            };
            sync.status.ended(passed.as_ref().err().cloned());
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
            // After a failure the wait is shortened only by a cache that has a first commit.
            let heeds_cache = secret.is_none() || !sync.has_fetched();
            tokio::select! {
                () = next_pass(sync, &mut limits, &report, wait, secret) => {}
                () = sync.moved(), if heeds_cache => {}
                () = requested(&mut wake) => {}
            }
        }
    }
}

/// Waits for the hooks at the end of a one-time sync.
async fn end(sync: &mut RepoSyncer) -> Ended {
    let are_well = sync.hooks.first_attempts().await;
    tracing::info!(status = u8::from(!are_well), "exiting after one sync");
    if are_well { Ended::Done } else { Ended::GaveUp }
}

/// Waits until the next pass is due: this long, or longer if the server requested a pause, even
/// through another repository.
async fn next_pass(
    sync: &RepoSyncer,
    limits: &mut Limits,
    report: &Report,
    mut wait: Duration,
    secret: Option<Stamp>,
) {
    loop {
        if let Some(rest) = sync.rest() {
            wait = wait.max(limits.lengthened(rest));
        }
        report.health.set_next_pass_in(wait);
        tracing::info!(v = 3, waitTime = ?wait, "next sync");
        let is_mended = sleep_unless_mended(sync, secret.as_ref(), wait).await;
        if is_mended || sync.rest().is_none() {
            return;
        }
        wait = Duration::ZERO;
    }
}

/// Waits. After a failure a change of the Secret ends the wait, since it may fix the failure.
async fn sleep_unless_mended(sync: &RepoSyncer, secret: Option<&Stamp>, wait: Duration) -> bool {
    let Some(secret) = secret else {
        tokio::time::sleep(wait).await;
        return false;
    };
    sleep_unless(|| sync.secret_stamp() != *secret, wait).await
}

/// Creates a directory if it does not exist, and returns its path without symlinks.
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

    /// Short-lived futures are boxed, so that the task of a waiting repository, as hundreds of them
    /// are most of the time, is small.
    #[test]
    fn the_task_of_a_waiting_repository_is_small() {
        fn size_of_future<F>(
            _: impl FnOnce(Box<RepoConfig>, Report, SharedContext, watch::Receiver<()>) -> F,
        ) -> usize {
            size_of::<F>()
        }
        let size = size_of_future(follow);
        assert!(size < 4096, "{size}");
    }
}
