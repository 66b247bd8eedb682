//! One pass: which commit is wanted, its objects, its files, and the switch.

mod error;
mod prepare;

use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use tokio::time::Instant;

use crate::auth::Auth;
use crate::auth::AuthError;
use crate::auth::Grant;
use crate::auth::Stamp;
use crate::checkout::Checkout;
use crate::config::RepoConfig;
use crate::engine::Polled;
use crate::engine::Poller;
use crate::files;
use crate::follow::Common;
use crate::gc;
use crate::gc::GcError;
use crate::git::Git;
use crate::git::Hash;
use crate::growth::Growth;
use crate::health::RepoHealth;
use crate::hooks::Hooks;
use crate::metrics::RepoMetrics;
use crate::mirror::Mirror;
use crate::permits::Permit;
use crate::permits::Permits;
use crate::private::Private;
use crate::publish::Layout;
use crate::publish::PublishError;
use crate::remote::Remote;
use crate::report::Report;
use crate::seal::Seal;
use crate::status::Status;
use crate::sync::error::Condition;
pub(crate) use crate::sync::error::SyncError;
use crate::throttle::Client;
use crate::throttle::Throttle;
use crate::tree::Tree;
use crate::tree::Verdict;

/// How many fetched commits may wait for their tree, a submodule's host being away for instance:
/// then they are looked through.
const MOST_IN_VAIN: u32 = 8;

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
    /// How everything stood when a pass with git had succeeded.
    seal: Option<Seal>,
    pub(crate) status: Status,
    /// When the last pass began.
    began: Instant,
    /// The last pass failed.
    is_troubled: bool,
    pub(crate) hooks: Hooks,
    metrics: RepoMetrics,
    health: RepoHealth,
    condition: Condition,
    /// How many fetched commits could not be published since git last forgot what nobody needs.
    in_vain: u32,
    /// A pass of this process has succeeded.
    has_synced: bool,
    /// The ref is a full hash and its tree is published: there is nothing more to ask the remote.
    pinned: Option<Hash>,
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
            seal: None,
            mirror: Mirror::new(layout.git_dir()),
            growth: Growth::of(&layout.git_dir()),
            status: Status::open(config.state.as_deref()),
            layout: Arc::new(layout),
            hooks: Hooks::start(&config, &metrics),
            metrics,
            health: report.health.clone(),
            config,
            private,
            git,
            permits: common.permits.clone(),
            throttle: common.throttle.clone(),
            began: Instant::now(),
            is_troubled: false,
            condition: Condition::Unknown,
            in_vain: 0,
            has_synced: false,
            pinned: None,
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
    pub(crate) async fn once(&mut self) -> Result<Option<Pass>, SyncError> {
        self.began = Instant::now();
        let granted = match self.seal.take() {
            None => None,
            Some(seal) => {
                let deadline = self.began + self.config.sync_timeout;
                let grant = self.refresh(deadline).await;
                self.is_troubled = grant.is_err();
                let grant = grant?;
                match self.poll(&seal, &grant).await {
                    Polled::Same => {
                        let tree = seal.tree.clone();
                        self.seal = Some(seal);
                        return Ok(Some(Pass {
                            outcome: Outcome::Unchanged,
                            tree,
                            rest: None,
                        }));
                    }
                    Polled::AskGit => Some(grant),
                    Polled::Later(wait) => {
                        if let Some(client) = self.client() {
                            self.throttle.note(&client, wait);
                        }
                        return Ok(None);
                    }
                }
            }
        };
        let permit = self.permits.take(self.is_troubled).await;
        self.began = Instant::now();
        let deadline = self.began + self.config.sync_timeout;
        let was_good = self.condition == Condition::Good;
        // In boxes: an idle pass, as most are, makes no room for what it does not do.
        let mut passed = Box::pin(self.pass(granted.clone(), deadline)).await;
        self.learn_from(&passed);
        if was_good && self.condition == Condition::Unknown && Instant::now() < deadline {
            // Something on our disk was changed since it was looked at: mended now, it is none of
            // the user's trouble.
            passed = Box::pin(self.pass(granted, deadline)).await;
            self.learn_from(&passed);
        }
        self.health.polls(self.poller.standing());
        self.is_troubled = passed.is_err();
        let error = match passed {
            Ok((outcome, tree)) => {
                self.has_synced = true;
                return Ok(Some(Pass {
                    outcome,
                    tree,
                    rest: Some((deadline, permit)),
                }));
            }
            Err(error) => error,
        };
        drop(permit);
        if error.may_ask_for_rest()
            && let Some(client) = self.client()
        {
            let grant = self.auth.granted();
            self.throttle
                .inquire(&client, &self.config.repo.url, grant)
                .await;
        }
        Err(error)
    }

    /// Notes what a failure says of our disk, for the next preparation.
    fn learn_from(&mut self, passed: &Result<(Outcome, Tree), SyncError>) {
        let Err(error) = passed else {
            return;
        };
        self.condition = self.condition.min(error.leaves());
        if matches!(error, SyncError::Publish(_)) {
            self.in_vain += 1;
            if self.in_vain >= MOST_IN_VAIN {
                self.condition = Condition::Unknown;
            }
        }
        if error.may_be_an_object() {
            self.mirror.doubt();
        }
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
    async fn poll(&mut self, seal: &Seal, grant: &Grant) -> Polled {
        let Some((object, commit)) = self.remote.last() else {
            return Polled::AskGit;
        };
        if !seal.holds(commit) {
            return Polled::AskGit;
        }
        let polled = self.poller.ask(grant, object).await;
        self.health.polls(self.poller.standing());
        if polled == Polled::Same {
            tracing::info!(v = 2, "ref" = %self.config.rev, remote = %commit, "update not required");
        }
        polled
    }

    async fn refresh(&mut self, deadline: Instant) -> Result<Arc<Grant>, AuthError> {
        self.auth
            .refresh(&self.config, &self.private, &mut self.git, deadline)
            .await
    }

    /// How long ago the last pass began.
    pub(crate) fn took(&self) -> Duration {
        self.began.elapsed()
    }

    /// Tells whether the ref is a full hash that is published, so that no remote is asked any more.
    pub(crate) fn is_pinned(&self) -> bool {
        self.pinned.is_some()
    }

    async fn pass(
        &mut self,
        granted: Option<Arc<Grant>>,
        deadline: Instant,
    ) -> Result<(Outcome, Tree), SyncError> {
        if !self.mirror.is_there() {
            self.condition = Condition::Unknown;
        }
        if self.condition != Condition::Good {
            self.prepare(deadline).await?;
        }
        let commit = match &self.pinned {
            Some(commit) => commit.clone(),
            None => {
                let grant = match granted {
                    Some(grant) => grant,
                    None => self.refresh(deadline).await?,
                };
                let commit = self.fetch(deadline).await?;
                self.poller
                    .git_succeeded(&self.config, &grant, &self.git, &self.mirror)
                    .await;
                commit
            }
        };
        let checkout = Checkout::wanted(&self.config).map_err(PublishError::from)?;
        let old = self.layout.current()?;
        let current = old.clone().filter(|tree| {
            tree.commit == commit && self.layout.is_intact(tree, &checkout.selection)
        });
        if self.pinned.is_none() && (current.is_none() || !self.has_synced) {
            self.metrics.count_fetch();
        }
        let (tree, outcome) = match current {
            Some(tree) => {
                tracing::info!(v = 2, "ref" = %self.config.rev, remote = %commit, "update not required");
                // A killed process may have switched the tree and linked no further.
                self.show(&tree, None)?;
                (tree, Outcome::Unchanged)
            }
            None => (
                self.update(old.as_ref(), &commit, &checkout, deadline)
                    .await?,
                Outcome::Updated,
            ),
        };
        self.hooks.published(&self.git, &tree, old.as_ref());
        if self.remote.is_pinned_to(&commit) && self.pinned.is_none() {
            tracing::info!("ref" = %self.config.rev, "ref appears to be a git hash, no further sync needed");
            self.pinned = Some(commit);
        }
        Ok((outcome, tree))
    }

    async fn fetch(&mut self, deadline: Instant) -> Result<Hash, SyncError> {
        let last = self.remote.last().cloned();
        let size = self.growth.before().await;
        let commit = self
            .remote
            .resolve(&self.git, &self.mirror, deadline)
            .await?;
        if self.remote.last() == last.as_ref() {
            self.growth.is_still(size);
        } else {
            self.metrics.count_objects(self.growth.since(size).await);
        }
        Ok(commit)
    }

    async fn update(
        &mut self,
        current: Option<&Tree>,
        commit: &Hash,
        checkout: &Checkout,
        deadline: Instant,
    ) -> Result<Tree, SyncError> {
        let old = current.map(|tree| tree.commit.as_str()).unwrap_or_default();
        let why = match current {
            None => "nothing is published yet",
            Some(tree) if tree.commit == *commit => match tree.verdict(&checkout.selection) {
                Verdict::Other => "other files of the commit are wanted",
                Verdict::Whole | Verdict::Unknown => "the published tree is damaged",
            },
            Some(_) => "the ref has moved",
        };
        tracing::info!("ref" = %self.config.rev, local = old, remote = %commit, why, "update required");
        let tree = match self.layout.find(commit, &checkout.selection) {
            Some(tree) => tree,
            None => {
                self.layout
                    .build(&self.git, &self.mirror, commit, checkout, deadline)
                    .await?
            }
        };
        self.hooks.about_to_publish(&self.git, &tree, current);
        self.show(&tree, self.remote.committed(commit))?;
        if let Some(old) = current.filter(|old| old.dir != tree.dir && old.dir.is_dir()) {
            // Its grace begins now.
            files::touch(&old.dir).map_err(SyncError::Clean)?;
        }
        tracing::info!("ref" = %self.config.rev, local = old, remote = %commit, tree = %tree.dir.display(), "updated successfully");
        Ok(tree)
    }

    fn show(&mut self, tree: &Tree, committed: Option<SystemTime>) -> Result<(), SyncError> {
        self.layout.publish(tree)?;
        self.note(tree, committed)
    }

    /// Notes what readers see, and the commit's date if it is news to them.
    fn note(&mut self, tree: &Tree, committed: Option<SystemTime>) -> Result<(), SyncError> {
        self.metrics.published(&tree.commit, committed);
        self.health.shows(tree.commit.as_str());
        let proof = self.layout.proof(tree);
        self.status.published(proof).map_err(SyncError::Status)
    }

    /// Removes old trees, and seals what stands. The new tree is published, so trouble here is told
    /// and no failure.
    pub(crate) async fn clean_up(&mut self, pass: Pass) {
        let Pass { tree, rest, .. } = pass;
        let is_alone = self.seal.as_ref().is_some_and(|seal| seal.is_alone);
        if !is_alone && let Err(error) = Box::pin(self.remove_stale(&tree, rest)).await {
            tracing::error!(error = chain(&error), "failed to clean up old trees");
        }
        if self.seal.is_none() && self.poller.is_on() {
            self.seal = Seal::of(&self.config, &self.layout, &self.mirror, tree);
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
        self.seal = None;
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
