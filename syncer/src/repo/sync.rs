//! One pass: resolve the commit, fetch its objects, write its files, and switch.

mod checks;
mod error;
mod pass;
mod prepare;
mod state;

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::config::RepoConfig;
use crate::error::chain;
use crate::git::Git;
use crate::git::permits::Permit;
use crate::git::permits::Permits;
use crate::git::permits::Priority;
use crate::hooks::Hooks;
use crate::lfs;
use crate::observe::health::RepoHealth;
use crate::observe::metrics::RepoMetrics;
use crate::observe::report::Outcome;
use crate::observe::report::Report;
use crate::poll::Known;
use crate::poll::PollOutcome;
use crate::poll::Poller;
use crate::remote::auth::Auth;
use crate::remote::auth::AuthError;
use crate::remote::auth::RemoteCredentials;
use crate::remote::auth::Stamp;
use crate::remote::private::Private;
use crate::remote::throttle::Client;
use crate::remote::throttle::Throttle;
use crate::repo::context::SharedContext;
use crate::repo::gc;
use crate::repo::gc::GcError;
use crate::repo::mirror::Check;
use crate::repo::mirror::Mirror;
use crate::repo::publish::layout::Layout;
use crate::repo::resolve::Remote;
use crate::repo::snapshot::PublishedSnapshot;
use crate::repo::status::Status;
use crate::repo::sync::checks::RepositoryChecks;
use crate::repo::sync::error::Aftermath;
use crate::repo::sync::error::Stage;
use crate::repo::sync::state::RepoState;
use crate::tree::Tree;
use crate::tree::caveats;

pub(crate) use crate::repo::sync::error::PassError;

/// The number of fetches without a publication after which the disk is cleaned up and git collects
/// its garbage.
const MAX_UNPUBLISHED_FETCHES: u32 = 8;

/// A successful pass.
pub(crate) struct PassOutcome {
    pub(crate) outcome: Outcome,
    tree: Tree,
    /// The remaining time with the permit; `None` for a pass without git.
    rest: Option<(Instant, Permit)>,
}

/// The result of a check without git.
enum Look {
    /// The ref names the published commit.
    Unchanged(Tree),
    /// The server requests a pause, with this status.
    Later(StatusCode),
    /// git must run, with these credentials if they were already read.
    AskGit(Option<Arc<RemoteCredentials>>),
}

/// The state of a repository between passes.
pub(crate) struct RepoSyncer {
    config: RepoConfig,
    private: Private,
    git: Git,
    permits: Permits,
    throttle: Throttle,
    auth: Auth,
    remote: Remote,
    poller: Poller,
    mirror: Mirror,
    layout: Arc<dyn Layout>,
    state: RepoState,
    pub(crate) status: Status,
    /// When the last pass started.
    began: Instant,
    last_pass_failed: bool,
    /// Whether the server of the last poll requested a pause.
    was_put_off: bool,
    pub(crate) hooks: Hooks,
    metrics: RepoMetrics,
    health: RepoHealth,
    /// When the git host named the commit of the last fetch, if it was unreachable at that time.
    fetched_as_of: Option<Timestamp>,
    /// The number of fetched commits without a publication since git last collected its garbage.
    unpublished_fetches: u32,
    checks: RepositoryChecks,
}

impl RepoSyncer {
    /// Creates the syncer of a repository without contacting the remote.
    pub(crate) fn new(
        config: RepoConfig,
        layout: Arc<dyn Layout>,
        private: Private,
        common: &SharedContext,
        report: &Report,
    ) -> Result<Self, AuthError> {
        let mut git = common.git.clone();
        let metrics = report.metrics.clone();
        let status = Status::open(config.state.as_deref());
        Ok(Self {
            auth: Auth::new(&config, &private, &mut git, metrics.clone())?,
            remote: Remote::new(&config),
            poller: Poller::new(&config, common.polls, metrics.clone()),
            mirror: Mirror::new(layout.git_dir(), &config.rev),
            fetched_as_of: status.as_of(),
            status,
            layout,
            state: RepoState::default(),
            hooks: Hooks::start(&config, &metrics),
            metrics,
            health: report.health.clone(),
            config,
            private,
            git,
            permits: common.permits.clone(),
            throttle: common.throttle.clone(),
            began: Instant::now(),
            last_pass_failed: false,
            was_put_off: false,
            unpublished_fetches: 0,
            checks: RepositoryChecks::default(),
        })
    }

    /// The current stamp of the Secret.
    pub(crate) fn secret_stamp(&self) -> Stamp {
        self.auth.stamp_now()
    }

    /// The stamp of the Secret at the last pass; it may have changed since.
    pub(crate) fn last_secret_stamp(&self) -> Stamp {
        let last = self.auth.tried().cloned();
        last.unwrap_or_else(|| self.secret_stamp())
    }

    /// Publishes the tree of the wanted commit and notifies the hooks. `None` if the server of a
    /// poll requested a pause: git did not run, and nothing new is known.
    pub(crate) async fn sync_once(&mut self) -> Result<Option<PassOutcome>, PassError> {
        self.began = Instant::now();
        let looked = match std::mem::take(&mut self.state) {
            RepoState::Published {
                snapshot: Some(snapshot),
            } => {
                let looked = self.look(&snapshot).await;
                // In any case the tree is unchanged, and the next pass polls again.
                let snapshot = Some(snapshot);
                self.state = RepoState::Published { snapshot };
                self.last_pass_failed |= looked.is_err();
                looked?
            }
            state => {
                self.state = state;
                Look::AskGit(None)
            }
        };
        let granted = match looked {
            Look::Unchanged(tree) => {
                self.set_as_of(None);
                self.was_put_off = false;
                self.last_pass_failed = false;
                return Ok(Some(PassOutcome {
                    outcome: Outcome::Unchanged,
                    tree,
                    rest: None,
                }));
            }
            // A single such answer may be temporary; a second one is a failure, and git would get
            // the same.
            Look::Later(status) if std::mem::replace(&mut self.was_put_off, true) => {
                self.last_pass_failed = true;
                return Err(PassError::throttled(status));
            }
            Look::Later(_) => return Ok(None),
            Look::AskGit(granted) => granted,
        };
        self.was_put_off = false;
        let permit = self
            .permits
            .acquire(Priority::after(self.last_pass_failed))
            .await;
        self.began = Instant::now();
        let deadline = self.began + self.config.sync_timeout;
        let was_verified = self.state.is_verified();
        // Boxed: most passes are idle and must not reserve the memory of a full one.
        let mut passed = Box::pin(self.pass(granted, deadline)).await;
        let is_ours = self.learn_from(&passed);
        let has_changed =
            was_verified || matches!(self.state, RepoState::Unverified(Check::Recreate));
        if is_ours && has_changed && Instant::now() < deadline {
            // The disk has changed since it was checked, or the remote was replaced: a second pass
            // repairs that without a reported failure. The lost file may be git's configuration.
            passed = Box::pin(self.pass(None, deadline)).await;
            self.learn_from(&passed);
        }
        self.health
            .set_poller_state(self.poller.standing(), self.poller.cache_standing());
        self.last_pass_failed = passed.is_err();
        let error = match passed {
            Ok((outcome, tree)) => {
                return Ok(Some(PassOutcome {
                    outcome,
                    tree,
                    rest: Some((deadline, permit)),
                }));
            }
            Err(error) => error,
        };
        drop(permit);
        if let Some(wait) = error.retry_after()
            && let Some(client) = self.client()
        {
            self.throttle.note(&client, wait);
        } else if error.may_have_retry_after()
            && let Some(client) = self.client()
        {
            let grant = self.auth.granted();
            self.throttle
                .inquire(&client, &self.config.repo.url, grant)
                .await;
        }
        Err(error)
    }

    /// Checks, without git, whether anything has changed.
    async fn look(&mut self, snapshot: &PublishedSnapshot) -> Result<Look, PassError> {
        let deadline = self.began + self.config.sync_timeout;
        let grant = self.refresh(deadline).await?;
        Ok(match self.poll(snapshot, &grant).await {
            PollOutcome::Same => Look::Unchanged(snapshot.tree.clone()),
            PollOutcome::AskGit => Look::AskGit(Some(grant)),
            PollOutcome::Later { status, wait } => {
                if let Some(client) = self.client() {
                    self.throttle.note(&client, wait);
                }
                Look::Later(status)
            }
        })
    }

    /// Updates the state after a pass of git. Returns whether the failure is local to the disk, so
    /// that the next pass repairs it.
    fn learn_from(&mut self, passed: &Result<(Outcome, Tree), PassError>) -> bool {
        let Err(error) = passed else {
            self.checks = RepositoryChecks::default();
            return false;
        };
        let aftermath = if self.mirror.is_there() && self.auth.has_config_file() {
            self.checks.bounded(error)
        } else {
            // That is the cause, whatever the error is.
            Aftermath::Verify
        };
        match aftermath {
            // What is published, and its metadata, are unchanged. A commit that cannot be repaired
            // from local objects is polled again.
            Aftermath::Retry => {
                if matches!(self.state, RepoState::Pinned(_)) {
                    self.state = RepoState::Verified;
                }
            }
            Aftermath::Tidy | Aftermath::ClearLocks => self.state.unverified(Check::Tidy),
            Aftermath::Verify => self.state.unverified(Check::Connectivity),
            Aftermath::VerifyContents => self.state.unverified(Check::Contents),
            Aftermath::Recreate => {
                self.mirror.follow_format(error.of_git());
                self.state.unverified(Check::Recreate);
            }
        }
        if error.is_unpublished() || error.is_full() {
            self.unpublished_fetches += 1;
            if self.unpublished_fetches >= MAX_UNPUBLISHED_FETCHES {
                self.state.unverified(Check::Tidy);
            }
        }
        aftermath >= Aftermath::ClearLocks
    }

    /// The remaining pause that the server requested.
    pub(crate) fn rest(&self) -> Option<Duration> {
        if self.throttle.is_empty() {
            return None;
        }
        self.throttle.remaining(&self.client()?)
    }

    /// The client for the server's `Retry-After`; `None` before the first request.
    fn client(&self) -> Option<Client> {
        let grant = self.auth.granted();
        if grant.generation == 0 {
            return None;
        }
        Client::of(&self.config.repo.url, grant)
    }

    /// Checks, without git, whether the ref names the published commit and the tree is unchanged.
    async fn poll(
        &mut self,
        snapshot: &PublishedSnapshot,
        grant: &Arc<RemoteCredentials>,
    ) -> PollOutcome {
        let Some(last) = self.remote.last() else {
            return PollOutcome::AskGit;
        };
        if !snapshot.holds(&last.commit) {
            return PollOutcome::AskGit;
        }
        if self.poller.must_judge_again() {
            let _permit = self.permits.acquire(Priority::Normal).await;
            let judged = self
                .poller
                .judge(&self.config, grant, &self.git, self.mirror.git_dir());
            judged.await;
        }
        let known = Known {
            object: &last.object,
            tag: last.tag.as_deref(),
        };
        let polled = self.poller.ask(grant, known).await;
        self.health
            .set_poller_state(self.poller.standing(), self.poller.cache_standing());
        if polled == PollOutcome::Same {
            tracing::info!(v = 2, "ref" = %self.config.rev, tag = last.tag, remote = %last.commit, "update not required");
        }
        polled
    }

    async fn refresh(&mut self, deadline: Instant) -> Result<Arc<RemoteCredentials>, PassError> {
        self.auth
            .refresh(&self.config, &self.private, &mut self.git, deadline)
            .await
            .map_err(|error| PassError::at(Stage::Auth, error))
    }

    /// Waits until the pull-through cache says that the ref has moved.
    pub(crate) async fn moved(&self) {
        self.poller.changed(self.known()).await;
    }

    /// Whether git has fetched a commit, or found one that an earlier process fetched.
    pub(crate) fn has_fetched(&self) -> bool {
        self.known().is_some()
    }

    /// What git last fetched.
    fn known(&self) -> Option<Known<'_>> {
        let last = self.remote.last()?;
        Some(Known {
            object: &last.object,
            tag: last.tag.as_deref(),
        })
    }

    /// The time since the start of the last pass.
    pub(crate) fn took(&self) -> Duration {
        self.began.elapsed()
    }

    /// Whether the ref is a full hash that is published, so that the remote is no longer contacted.
    pub(crate) fn is_pinned(&self) -> bool {
        matches!(self.state, RepoState::Pinned(_))
    }

    /// Removes old trees and takes the snapshot for the next passes. The new tree is already
    /// published, so errors are only logged.
    pub(crate) async fn clean_up(&mut self, pass: PassOutcome) {
        let PassOutcome {
            tree,
            rest,
            outcome,
        } = pass;
        if outcome == Outcome::Updated {
            Box::pin(caveats::report(
                &tree.commit,
                &tree.dir,
                &tree.shown,
                &tree.index,
            ))
            .await;
        }
        let is_alone = match &self.state {
            RepoState::Published {
                snapshot: Some(snapshot),
            } => snapshot.is_alone,
            _ => false,
        };
        if !is_alone && let Err(error) = Box::pin(self.remove_stale(&tree, rest)).await {
            tracing::error!(error = chain(&error), "failed to clean up old trees");
        }
        if let RepoState::Published { snapshot } = &mut self.state
            && snapshot.is_none()
            && self.poller.is_on()
        {
            *snapshot = PublishedSnapshot::of(&self.config, &*self.layout, &self.mirror, tree)
                .map(Box::new);
        }
    }

    async fn remove_stale(
        &mut self,
        tree: &Tree,
        rest: Option<(Instant, Permit)>,
    ) -> Result<(), GcError> {
        let timeout = self.config.stale_worktree_timeout;
        let stale = gc::stale(&*self.layout, tree, timeout)?;
        if stale.is_empty() {
            return Ok(());
        }
        let (deadline, _permit) = match rest {
            Some(rest) => rest,
            None => {
                let permit = self.permits.acquire(Priority::Normal).await;
                (Instant::now() + self.config.sync_timeout, permit)
            }
        };
        // git repacks here.
        if let RepoState::Published { snapshot } = &mut self.state {
            *snapshot = None;
        }
        let git = self.git.session(deadline);
        let (gc, depth) = (self.config.gc, self.config.depth);
        gc::remove(git, &self.mirror, &self.layout, &stale, gc, depth).await?;
        let mut kept = self.layout.others(tree).map_err(GcError::Io)?;
        kept.push(tree.commit.as_str().into());
        lfs::sweep(&self.config, kept).await.map_err(GcError::Io)
    }
}
