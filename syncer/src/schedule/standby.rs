//! Standby: a syncer whose directory another syncer owns, as on a claim that several Pods mount,
//! for example during a rolling update.
//!
//! If the owner follows the same repository, the standby publishes nothing itself: it waits until
//! its wanted commit is published there, which is its first success, keeps checking, and takes over
//! when the owner ends. If the owner follows another repository, the standby fails.

use crate::repo::publish;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::RepoConfig;
use crate::error::chain;
use crate::git::Git;
use crate::git::Hash;
use crate::git::permits::Priority;
use crate::hooks::Hooks;
use crate::observe::health::Phase;
use crate::observe::report::Outcome;
use crate::observe::report::Report;
use crate::redact;
use crate::remote::auth::Auth;
use crate::remote::auth::AuthError;
use crate::remote::private::Private;
use crate::repo::context::SharedContext;
use crate::repo::publish::error::PublishError;
use crate::repo::publish::layout::Layout;
use crate::repo::resolve;
use crate::repo::resolve::RemoteError;
use crate::schedule::ended::Ended;
use crate::schedule::limits::Limits;
use crate::schedule::start_error::StartError;
use crate::schedule::wait::requested;
use crate::system::files;
use crate::system::owner::Owned;
use crate::system::owner::OwnerError;
use crate::tree;
use crate::tree::Tree;
use crate::tree::TreeError;
use crate::tree::selection::Checkout;

/// The interval at which the directory is checked: some `stat` calls, and an attempt to lock it.
const LOOK: Duration = Duration::from_millis(500);

/// The interval of requests to the remote while the commit is awaited.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// The reason why the wanted commit is not available there.
#[derive(Debug, thiserror::Error)]
enum StandbyError {
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error(
        "{} is in use by another syncer of this repository, which has not published {wanted} with the file selection of this syncer; use a separate directory for each ref and each file selection, or stop the other syncer first (a Deployment's `strategy: Recreate`)",
        .root.display()
    )]
    NotPublished { root: PathBuf, wanted: Hash },
    #[error("{} is in use by another syncer, which has not cloned the repository yet", .0.display())]
    NotCloned(PathBuf),
}

/// The end of a standby.
pub(crate) enum Standby {
    /// The owner has ended: the directory can be taken.
    Free,
    Ended(Ended),
}

/// The published tree that is wanted.
struct Found {
    commit: Option<Hash>,
    /// `None` for a clone.
    tree: Option<Tree>,
}

struct Reader<'a> {
    config: &'a RepoConfig,
    /// The directories that the owner holds, one of them or both.
    dirs: Vec<PathBuf>,
    /// `None` for a clone.
    layout: Option<Arc<dyn Layout>>,
    common: &'a SharedContext,
    git: Git,
    auth: Auth,
    private: Private,
    hooks: Hooks,
}

/// Waits beside another syncer of the same repository, which holds `taken`; the paths of the
/// configuration contain no symlinks. It is an error if the other syncer follows another
/// repository.
pub(crate) async fn wait(
    config: &RepoConfig,
    taken: PathBuf,
    common: &SharedContext,
    limits: &mut Limits,
    report: &mut Report,
    wake: &mut watch::Receiver<()>,
) -> Result<Standby, StartError> {
    let layout = publish::layout_of(config);
    let git_dir = match &layout {
        Some(layout) => layout.git_dir(),
        None => config.root.join(".git"),
    };
    let refused = || StartError::Owner(OwnerError::Taken(taken.clone()));
    if !is_of(&git_dir, &config.repo.url, config.sync_timeout).await {
        return Err(refused());
    }
    // Not in the state directory, which the other syncer may own.
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
        "another syncer of this repository owns the directory: using what it publishes"
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
            report.health.set_phase(Phase::Syncing);
            let began = Instant::now();
            let found = match self.wanted(began + self.config.sync_timeout).await {
                Ok(Some(found)) => found,
                Ok(None) => return Ok(Standby::Free),
                Err(error) => {
                    let error = redact::redact(&chain(&error));
                    let Some(wait) = limits.after_failure(&error, began.elapsed(), report) else {
                        return Ok(Standby::Ended(Ended::GaveUp));
                    };
                    report.health.set_next_pass_in(wait);
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
                let ended = if are_well { Ended::Done } else { Ended::GaveUp };
                return Ok(Standby::Ended(ended));
            }
            let mut last = found;
            loop {
                let wait = limits.after_success();
                report.health.set_next_pass_in(wait);
                if self.is_free_within(wait, wake).await {
                    return Ok(Standby::Free);
                }
                // The other syncer contacts the remote; this one only reads what is published.
                let began = Instant::now();
                if let Ok(Some(found)) = self.published() {
                    self.tell(&found, Some(&last), report, began.elapsed());
                    last = found;
                }
            }
        }
    }

    /// Reports a success and notifies the hooks of a new tree.
    fn tell(&mut self, found: &Found, last: Option<&Found>, report: &mut Report, took: Duration) {
        let outcome = match last {
            Some(last) if last.commit != found.commit => Outcome::Updated,
            Some(_) | None => Outcome::Unchanged,
        };
        if let Some(commit) = &found.commit {
            report.metrics.published(commit, None);
            report.health.set_published(commit.as_str(), None);
        }
        if let Some(tree) = &found.tree {
            let old = last.and_then(|last| last.tree.as_ref());
            self.hooks.published(&self.git, tree, old);
        }
        report.succeeded(outcome, took);
    }

    /// Waits until the wanted commit is published; `None` if the directory is released first.
    async fn wanted(&mut self, deadline: Instant) -> Result<Option<Found>, StandbyError> {
        loop {
            let wanted = match self.layout {
                // A clone is created once, whatever the remote has now.
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
        let _permit = self.common.permits.acquire(Priority::Normal).await;
        let (config, private) = (self.config, &self.private);
        self.auth
            .refresh(config, private, &mut self.git, deadline)
            .await?;
        Ok(resolve::ask(self.git.session(deadline), config).await?)
    }

    /// The currently published tree, if it is complete and has the wanted selection.
    fn published(&self) -> Result<Option<Found>, StandbyError> {
        let Some(layout) = &self.layout else {
            let is_there = tree::clone::exists(&self.config.root);
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

    /// Waits; returns whether the directory was released in the meantime.
    async fn is_free_within(&self, wait: Duration, wake: &mut watch::Receiver<()>) -> bool {
        let end = Instant::now() + wait;
        loop {
            if self.is_free().await {
                return true;
            }
            let next = end.min(Instant::now() + LOOK);
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = requested(wake) => return false,
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

/// Whether a repository is a copy of this one. If it is still being created, this waits for it.
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

/// The remote of a repository, from its configuration.
fn origin(git_dir: &Path) -> Option<String> {
    let config = files::absent_is_none(fs::read_to_string(git_dir.join("config"))).ok()??;
    let mut lines = config.lines().map(str::trim);
    lines.find(|line| *line == "[remote \"origin\"]")?;
    let mut lines = lines.take_while(|line| !line.starts_with('['));
    let url = lines.find_map(|line| line.strip_prefix("url")?.trim_start().strip_prefix('='));
    // git quotes the value this way.
    Some(url?.trim().trim_matches('"').to_owned())
}

fn plain(url: &str) -> &str {
    let url = url.trim_end_matches('/');
    url.strip_suffix(".git").unwrap_or(url)
}
