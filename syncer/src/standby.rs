//! A syncer whose directory another syncer has: as on a claim that several Pods mount, where the Pods
//! of a rolling update meet.
//!
//! Where the other one follows the same repository, this one publishes nothing itself: it waits until
//! the commit that it wants is published there, which is its first success, reads on, and takes over
//! when the other one ends. Where the other one follows another repository, it fails.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::auth::Auth;
use crate::auth::AuthError;
use crate::checkout::Checkout;
use crate::clone;
use crate::config::RepoConfig;
use crate::files;
use crate::follow::Common;
use crate::follow::Ended;
use crate::follow::signalled;
use crate::git::Git;
use crate::git::GitError;
use crate::git::Hash;
use crate::health::Phase;
use crate::hooks::Hooks;
use crate::limits::Limits;
use crate::owner::Owned;
use crate::owner::OwnerError;
use crate::private::Private;
use crate::publish::Layout;
use crate::publish::PublishError;
use crate::redact;
use crate::remote;
use crate::report::Report;
use crate::run::StartError;
use crate::sync::Outcome;
use crate::sync::chain;
use crate::tree::Tree;
use crate::tree::TreeError;

/// How often the directory is looked at: some `stat` calls, and an attempt to lock it.
const LOOK: Duration = Duration::from_millis(500);

/// How long the remote is left alone while the commit is awaited.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// Why the wanted commit cannot be read there.
#[derive(Debug, thiserror::Error)]
enum StandbyError {
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error(
        "{} is in use by another syncer of this repository, which has not published {wanted} with \
         the files that are wanted here; give each ref, and each selection of files, its own \
         directory, or end the other syncer first (a Deployment's `strategy: Recreate`)",
        .root.display()
    )]
    NotPublished { root: PathBuf, wanted: Hash },
    #[error("{} is in use by another syncer, which has not cloned the repository yet", .0.display())]
    NotCloned(PathBuf),
}

/// How the waiting ended.
pub(crate) enum Standby {
    /// The other syncer has ended: the directory can be taken.
    Free,
    Ended(Ended),
}

/// What is published there and wanted here.
struct Found {
    commit: Option<Hash>,
    /// None of a clone.
    tree: Option<Tree>,
}

struct Reader<'a> {
    config: &'a RepoConfig,
    /// The directories that the other syncer has, one of them or both.
    dirs: Vec<PathBuf>,
    /// None for a clone.
    layout: Option<Layout>,
    common: &'a Common,
    git: Git,
    auth: Auth,
    private: Private,
    hooks: Hooks,
}

/// Waits beside another syncer of the same repository, which has `taken`; the paths of the
/// configuration are real ones. An error is that this cannot be done: it is not the same repository.
pub(crate) async fn wait(
    config: &RepoConfig,
    taken: PathBuf,
    common: &Common,
    limits: &mut Limits,
    report: &mut Report,
    wake: &mut watch::Receiver<()>,
) -> Result<Standby, StartError> {
    let layout = Layout::of(config);
    let git_dir = match &layout {
        Some(layout) => layout.git_dir(),
        None => config.root.join(".git"),
    };
    let refused = || StartError::Owner(OwnerError::Taken(taken.clone()));
    if !is_of(&git_dir, &config.repo.url, config.sync_timeout).await {
        return Err(refused());
    }
    // Not in the state directory, which the other syncer may have.
    let mut own = config.clone();
    own.state = None;
    let private = Private::open(&own).await.map_err(StartError::Private)?;
    let mut git = common.git.clone();
    let mut reader = Reader {
        auth: Auth::new(config, &private, &mut git, report.metrics.clone())?,
        dirs: [Some(config.root.clone()), config.state.clone()]
            .into_iter()
            .flatten()
            .collect(),
        hooks: Hooks::start(config, &report.metrics),
        config,
        layout,
        common,
        git,
        private,
    };
    tracing::info!(
        dir = %taken.display(),
        "another syncer of this repository has the directory: reading what it publishes"
    );
    reader.follow(limits, report, wake).await
}

impl Reader<'_> {
    async fn follow(
        &mut self,
        limits: &mut Limits,
        report: &mut Report,
        wake: &mut watch::Receiver<()>,
    ) -> Result<Standby, StartError> {
        loop {
            report.health.is_now(Phase::Syncing);
            let began = Instant::now();
            let found = match self.wanted(began + self.config.sync_timeout).await {
                Ok(Some(found)) => found,
                Ok(None) => return Ok(Standby::Free),
                Err(error) => {
                    let error = redact::redact(&chain(&error));
                    let Some(wait) = limits.after_failure(&error, began.elapsed(), report) else {
                        return Ok(Standby::Ended(Ended::GaveUp));
                    };
                    report.health.waits(wait);
                    if self.is_free_within(wait, wake).await {
                        return Ok(Standby::Free);
                    }
                    continue;
                }
            };
            self.tell(&found, None, report, began.elapsed());
            if self.config.one_time {
                let are_well = self.hooks.first_attempts().await;
                tracing::info!(status = u8::from(!are_well), "exiting after one sync");
                return Ok(Standby::Ended(match are_well {
                    true => Ended::Done,
                    false => Ended::GaveUp,
                }));
            }
            let mut last = found;
            loop {
                let wait = limits.after_success();
                report.health.waits(wait);
                if self.is_free_within(wait, wake).await {
                    return Ok(Standby::Free);
                }
                // The other syncer asks the remote; what it publishes is what there is.
                let began = Instant::now();
                if let Ok(Some(found)) = self.published() {
                    self.tell(&found, Some(&last), report, began.elapsed());
                    last = found;
                }
            }
        }
    }

    /// Reports a success, and tells the hooks of a tree that is new to them.
    fn tell(&mut self, found: &Found, last: Option<&Found>, report: &mut Report, took: Duration) {
        let outcome = match last {
            Some(last) if last.commit != found.commit => Outcome::Updated,
            Some(_) | None => Outcome::Unchanged,
        };
        if let Some(commit) = &found.commit {
            report.metrics.published(commit, None);
            report.health.shows(commit.as_str());
        }
        if let Some(tree) = &found.tree {
            let old = last.and_then(|last| last.tree.as_ref());
            self.hooks.published(&self.git, tree, old);
        }
        report.succeeded(outcome, took);
    }

    /// Waits until the wanted commit is published; `None` where the directory is free before.
    async fn wanted(&mut self, deadline: Instant) -> Result<Option<Found>, StandbyError> {
        loop {
            let wanted = match self.layout {
                // Made once, whatever the remote has by now.
                None => None,
                Some(_) => Some(self.ask(deadline).await?),
            };
            let until = deadline.min(Instant::now() + ASK_AGAIN);
            while Instant::now() < until {
                if let Some(found) = self.published()?.filter(|found| found.commit == wanted) {
                    return Ok(Some(found));
                }
                if self.is_free().await {
                    return Ok(None);
                }
                tokio::time::sleep(LOOK).await;
            }
            if Instant::now() >= deadline {
                return Err(match wanted {
                    Some(wanted) => StandbyError::NotPublished {
                        root: self.config.root.clone(),
                        wanted,
                    },
                    None => StandbyError::NotCloned(self.config.root.clone()),
                });
            }
        }
    }

    /// The commit that the ref names at the remote.
    async fn ask(&mut self, deadline: Instant) -> Result<Hash, StandbyError> {
        if let Ok(commit) = self.config.rev.as_str().parse() {
            return Ok(commit);
        }
        let _permit = self.common.permits.take(false).await;
        let (config, private) = (self.config, &self.private);
        self.auth
            .refresh(config, private, &mut self.git, deadline)
            .await?;
        Ok(remote::ask(&self.git, config, deadline).await?)
    }

    /// What is published there at this moment, if it is whole and of the files that are wanted here.
    fn published(&self) -> Result<Option<Found>, StandbyError> {
        let Some(layout) = &self.layout else {
            let is_there = clone::is_there(&self.config.root);
            return Ok(is_there.then_some(Found {
                commit: None,
                tree: None,
            }));
        };
        let checkout = Checkout::wanted(self.config)?;
        let tree = layout.current()?;
        let tree = tree.filter(|tree| tree.is_anothers(&checkout.selection));
        Ok(tree.map(|tree| Found {
            commit: Some(tree.commit.clone()),
            tree: Some(tree),
        }))
    }

    /// Waits; tells whether the directory has become free meanwhile.
    async fn is_free_within(&self, wait: Duration, wake: &mut watch::Receiver<()>) -> bool {
        let end = Instant::now() + wait;
        loop {
            if self.is_free().await {
                return true;
            }
            let next = end.min(Instant::now() + LOOK);
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = signalled(wake) => return false,
            }
            if Instant::now() >= end {
                return false;
            }
        }
    }

    async fn is_free(&self) -> bool {
        for dir in &self.dirs {
            if matches!(Owned::try_take(dir).await, Err(OwnerError::Taken(_))) {
                return false;
            }
        }
        true
    }
}

/// Tells whether a repository is a copy of this one. One that is being made at this moment is waited
/// for.
async fn is_of(git_dir: &Path, url: &str, timeout: Duration) -> bool {
    let end = Instant::now() + timeout.min(ASK_AGAIN);
    loop {
        if let Some(found) = origin(git_dir) {
            return plain(&found) == plain(url);
        }
        if Instant::now() >= end {
            return false;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Where a repository comes from, by its configuration.
fn origin(git_dir: &Path) -> Option<String> {
    let config = files::absent_is_none(fs::read_to_string(git_dir.join("config"))).ok()??;
    let mut lines = config.lines().map(str::trim);
    lines.find(|line| *line == "[remote \"origin\"]")?;
    let mut lines = lines.take_while(|line| !line.starts_with('['));
    let url = lines.find_map(|line| line.strip_prefix("url")?.trim_start().strip_prefix('='));
    // As git quotes it.
    Some(url?.trim().trim_matches('"').to_owned())
}

fn plain(url: &str) -> &str {
    let url = url.trim_end_matches('/');
    url.strip_suffix(".git").unwrap_or(url)
}
