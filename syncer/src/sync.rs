//! One pass: which commit is wanted, its objects, its files, and the switch.

mod error;
mod pass;
mod prepare;
mod state;

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use tokio::time::Instant;

use crate::auth::Auth;
use crate::auth::AuthError;
use crate::auth::Grant;
use crate::auth::Stamp;
use crate::caveats;
use crate::config::RepoConfig;
use crate::engine::Polled;
use crate::engine::Poller;
use crate::follow::Common;
use crate::gc;
use crate::gc::GcError;
use crate::git::Git;
use crate::growth::Growth;
use crate::health::RepoHealth;
use crate::hooks::Hooks;
use crate::metrics::RepoMetrics;
use crate::mirror::Check;
use crate::mirror::Mirror;
use crate::permits::Permit;
use crate::permits::Permits;
use crate::private::Private;
use crate::publish::Layout;
use crate::remote::Remote;
use crate::report::Report;
use crate::snapshot::PublishedSnapshot;
use crate::status::Status;
use crate::sync::error::Aftermath;
pub(crate) use crate::sync::error::PassError;
use crate::sync::error::Stage;
use crate::sync::state::RepoState;
use crate::throttle::Client;
use crate::throttle::Throttle;
use crate::tree::Tree;

/// After this many fetches whose tree could not be built, the disk is tidied and git collects its
/// garbage.
const MAX_UNPUBLISHED_FETCHES: u32 = 8;

/// For how long a failure that a check of the repository has not ended leads to no further check, and
/// how many checks there are in that time, whatever the failures, unless a pass succeeds.
const CHECKS_HOLD: Duration = Duration::from_secs(10 * 60);
const MAX_CHECKS: usize = 3;

/// What a successful pass did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Unchanged,
    Updated,
}

/// A successful pass.
pub(crate) struct Pass {
    pub(crate) outcome: Outcome,
    tree: Tree,
    /// The time that is left, and the right to use it; a pass without git has none of its own.
    rest: Option<(Instant, Permit)>,
}

/// Where a look at the remote without git has led.
enum Look {
    /// The ref names what is published.
    Unchanged(Tree),
    /// The server wants no request for a while, as it answers with this status.
    Later(StatusCode),
    /// git is to find out, with these credentials if they were read already.
    AskGit(Option<Arc<Grant>>),
}

/// The failures for which the repository was checked, since the first of them.
struct Checked {
    failures: Vec<(Stage, String)>,
    since: Instant,
}

/// Everything that lives from one pass to the next.
pub(crate) struct Sync {
    config: RepoConfig,
    private: Private,
    git: Git,
    permits: Permits,
    throttle: Throttle,
    auth: Auth,
    remote: Remote,
    poller: Poller,
    mirror: Mirror,
    growth: Growth,
    layout: Arc<Layout>,
    state: RepoState,
    pub(crate) status: Status,
    /// When the last pass began.
    began: Instant,
    last_pass_failed: bool,
    /// The last poll was told to come again later.
    was_put_off: bool,
    pub(crate) hooks: Hooks,
    metrics: RepoMetrics,
    health: RepoHealth,
    /// How many fetched commits could not be published since git last collected its garbage.
    unpublished_fetches: u32,
    /// The checks of the repository since the last success.
    checked: Option<Checked>,
}

impl Sync {
    /// Puts the parts together; nothing is asked of the remote yet.
    pub(crate) fn new(
        config: RepoConfig,
        layout: Layout,
        private: Private,
        common: &Common,
        report: &Report,
    ) -> Result<Self, AuthError> {
        let mut git = common.git.clone();
        let metrics = report.metrics.clone();
        Ok(Self {
            auth: Auth::new(&config, &private, &mut git, metrics.clone())?,
            remote: Remote::new(&config),
            poller: Poller::new(&config, common.polls, metrics.clone()),
            mirror: Mirror::new(layout.git_dir()),
            growth: Growth::of(&layout.git_dir()),
            status: Status::open(config.state.as_deref()),
            layout: Arc::new(layout),
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
            checked: None,
        })
    }

    /// What tells whether the Secret has changed since.
    pub(crate) fn secret_stamp(&self) -> Stamp {
        self.auth.stamp_now()
    }

    /// The same as the last pass found it; it may have changed meanwhile.
    pub(crate) fn last_secret_stamp(&self) -> Stamp {
        let last = self.auth.stamp().cloned();
        last.unwrap_or_else(|| self.secret_stamp())
    }

    /// Makes the published tree that of the wanted commit, and has the hooks told of it. `None` where
    /// a poll was told to come again later: git was not asked, and nobody knows more than before.
    pub(crate) async fn once(&mut self) -> Result<Option<Pass>, PassError> {
        self.began = Instant::now();
        let looked = match std::mem::take(&mut self.state) {
            RepoState::Published {
                snapshot: Some(snapshot),
            } => {
                let looked = self.look(&snapshot).await;
                // Whatever came of it, the tree stands as it was, and the next look is a poll again.
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
                self.was_put_off = false;
                self.last_pass_failed = false;
                return Ok(Some(Pass {
                    outcome: Outcome::Unchanged,
                    tree,
                    rest: None,
                }));
            }
            // Once may be chance; git would be answered the same.
            Look::Later(status) if std::mem::replace(&mut self.was_put_off, true) => {
                self.last_pass_failed = true;
                return Err(PassError::throttled(status));
            }
            Look::Later(_) => return Ok(None),
            Look::AskGit(granted) => granted,
        };
        self.was_put_off = false;
        let permit = self.permits.take(self.last_pass_failed).await;
        self.began = Instant::now();
        let deadline = self.began + self.config.sync_timeout;
        let was_verified = self.state.is_verified();
        // In boxes: an idle pass, as most are, makes no room for what it does not do.
        let mut passed = Box::pin(self.pass(granted.clone(), deadline)).await;
        let is_ours = self.learn_from(&passed);
        let has_changed =
            was_verified || matches!(self.state, RepoState::Unverified(Check::Recreate));
        if is_ours && has_changed && Instant::now() < deadline {
            // Something on our disk was changed since it was checked, or the remote is another one:
            // mended now, it is none of the user's trouble.
            passed = Box::pin(self.pass(granted, deadline)).await;
            self.learn_from(&passed);
        }
        self.health.polls(self.poller.standing());
        self.last_pass_failed = passed.is_err();
        let error = match passed {
            Ok((outcome, tree)) => {
                return Ok(Some(Pass {
                    outcome,
                    tree,
                    rest: Some((deadline, permit)),
                }));
            }
            Err(error) => error,
        };
        drop(permit);
        if error.may_have_retry_after()
            && let Some(client) = self.client()
        {
            let grant = self.auth.granted();
            self.throttle
                .inquire(&client, &self.config.repo.url, grant)
                .await;
        }
        Err(error)
    }

    /// Looks, without git, whether everything is as it was.
    async fn look(&mut self, snapshot: &PublishedSnapshot) -> Result<Look, PassError> {
        let deadline = self.began + self.config.sync_timeout;
        let grant = self.refresh(deadline).await?;
        Ok(match self.poll(snapshot, &grant).await {
            Polled::Same => Look::Unchanged(snapshot.tree.clone()),
            Polled::AskGit => Look::AskGit(Some(grant)),
            Polled::Later { status, wait } => {
                if let Some(client) = self.client() {
                    self.throttle.note(&client, wait);
                }
                Look::Later(status)
            }
        })
    }

    /// Goes to the state that a pass of git leaves. Tells whether the failure is one of our disk,
    /// which the next pass mends.
    fn learn_from(&mut self, passed: &Result<(Outcome, Tree), PassError>) -> bool {
        let Err(error) = passed else {
            self.checked = None;
            return false;
        };
        let aftermath = if self.mirror.is_there() {
            self.bounded(error)
        } else {
            // Whatever it says, it is because of that.
            Aftermath::Verify
        };
        match aftermath {
            // What is published, and how it looks, is as it was. Of a commit that cannot be mended
            // from what we have, the remote is asked again.
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
        if error.is_unpublished() {
            self.unpublished_fetches += 1;
            if self.unpublished_fetches >= MAX_UNPUBLISHED_FETCHES {
                self.state.unverified(Check::Tidy);
            }
        }
        aftermath >= Aftermath::ClearLocks
    }

    /// What follows from a failure. A check of all objects, or a new repository, that has not ended
    /// the same failure was to no purpose, and is not repeated at each retry.
    fn bounded(&mut self, error: &PassError) -> Aftermath {
        let aftermath = error.aftermath();
        if aftermath < Aftermath::Verify {
            return aftermath;
        }
        let failure = error.identity();
        let checked = self
            .checked
            .take()
            .filter(|checked| checked.since.elapsed() < CHECKS_HOLD);
        let checked = self.checked.insert(checked.unwrap_or_else(|| Checked {
            failures: Vec::new(),
            since: Instant::now(),
        }));
        let are_enough = checked.failures.len() >= MAX_CHECKS && aftermath < Aftermath::Recreate;
        if are_enough || checked.failures.contains(&failure) {
            return Aftermath::Tidy;
        }
        checked.failures.push(failure);
        aftermath
    }

    /// How long the server asked to be left alone by us from now on, if it did.
    pub(crate) fn rest(&self) -> Option<Duration> {
        if self.throttle.is_empty() {
            return None;
        }
        self.throttle.remaining(&self.client()?)
    }

    /// Who we are to the server, once it was asked.
    fn client(&self) -> Option<Client> {
        let grant = self.auth.granted();
        if grant.generation == 0 {
            return None;
        }
        Client::of(&self.config.repo.url, grant)
    }

    /// Looks, without git, whether the ref names the commit that is published, and nobody has
    /// touched it.
    async fn poll(&mut self, snapshot: &PublishedSnapshot, grant: &Grant) -> Polled {
        let Some((object, commit)) = self.remote.last() else {
            return Polled::AskGit;
        };
        if !snapshot.holds(commit) {
            return Polled::AskGit;
        }
        let polled = self.poller.ask(grant, object).await;
        self.health.polls(self.poller.standing());
        if polled == Polled::Same {
            tracing::info!(v = 2, "ref" = %self.config.rev, remote = %commit, "update not required");
        }
        polled
    }

    async fn refresh(&mut self, deadline: Instant) -> Result<Arc<Grant>, PassError> {
        self.auth
            .refresh(&self.config, &self.private, &mut self.git, deadline)
            .await
            .map_err(|error| PassError::at(Stage::Auth, error))
    }

    /// How long ago the last pass began.
    pub(crate) fn took(&self) -> Duration {
        self.began.elapsed()
    }

    /// Tells whether the ref is a full hash that is published, so that no remote is asked any more.
    pub(crate) fn is_pinned(&self) -> bool {
        matches!(self.state, RepoState::Pinned(_))
    }

    /// Removes old trees, and takes the snapshot by which the next passes are cheap. The new tree is
    /// published, so trouble here is logged and no failure.
    pub(crate) async fn clean_up(&mut self, pass: Pass) {
        let Pass {
            tree,
            rest,
            outcome,
        } = pass;
        if outcome == Outcome::Updated {
            Box::pin(caveats::report(&tree.commit, &tree.dir, &tree.index)).await;
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
            *snapshot =
                PublishedSnapshot::of(&self.config, &self.layout, &self.mirror, tree).map(Box::new);
        }
    }

    async fn remove_stale(
        &mut self,
        tree: &Tree,
        rest: Option<(Instant, Permit)>,
    ) -> Result<(), GcError> {
        let timeout = self.config.stale_worktree_timeout;
        let stale = gc::stale(&self.layout, tree, timeout)?;
        if stale.is_empty() {
            return Ok(());
        }
        let (deadline, _permit) = match rest {
            Some(rest) => rest,
            None => {
                let permit = self.permits.take(false).await;
                (Instant::now() + self.config.sync_timeout, permit)
            }
        };
        // git packs anew.
        if let RepoState::Published { snapshot } = &mut self.state {
            *snapshot = None;
        }
        self.growth.forget();
        gc::remove(
            &self.git,
            &self.mirror,
            &self.layout,
            &stale,
            self.config.gc,
            deadline,
        )
        .await
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
