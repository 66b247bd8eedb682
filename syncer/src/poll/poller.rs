//! The poller of a repository: when it polls, and what the result means for a pass.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use jiff::Timestamp;
use url::Url;

use crate::config::RepoConfig;
use crate::error::chain;
use crate::git::Git;
use crate::git::Hash;
use crate::git::ObjectFormat;
use crate::observe::metrics::RepoMetrics;
use crate::poll::allowed;
use crate::poll::allowed::files::JudgedFiles;
use crate::poll::allowed::setting::Setting;
use crate::poll::cache::CacheAdvice;
use crate::poll::cache::CacheWatch;
use crate::poll::cache::PriorState;
use crate::poll::cache::StaleAnswer;
use crate::poll::engine::Engine;
use crate::poll::engine::EngineError;
use crate::poll::engine::Known;
use crate::poll::engine::RemoteRef;
use crate::poll::loan::Loan;
use crate::redact;
use crate::remote::auth::RemoteCredentials;

/// The timeout of one poll.
const POLL_TIMEOUT: Duration = Duration::from_secs(10);

/// The limit of the back-off in passes, while polls keep failing and git succeeds. The waits are 0,
/// 2, 6, 14 and 30 passes, so the longest is two below it.
const LONGEST_REST: u32 = 32;

/// The number of consecutive failed polls, while git succeeds, after which the failure is reported.
const FAILURES_TO_REPORT: u32 = 3;

/// Polls one remote if git itself is not needed.
pub(crate) struct Poller {
    /// The engine, or the setting that disables it from the start.
    engine: Result<Box<dyn Engine>, Setting>,
    metrics: RepoMetrics,
    patience: Duration,
    /// The generation of the credentials with which git last succeeded, and whether the engine
    /// supports them.
    judged: Option<(u64, Fitness)>,
    files: JudgedFiles,
    /// Why the last poll failed.
    failure: Option<String>,
    failures: u32,
    /// Why polls keep failing while git succeeds, once that is reported.
    failing: Option<String>,
    /// The number of passes without a poll that remain.
    rest: u32,
    /// The pull-through cache; `None` without one, and before the settings are checked.
    cache: Option<CacheWatch>,
    /// What the last poll found, if the cache has its objects.
    offer: Option<CacheOffer>,
    /// The cache's answer that the last pass refused because of its age.
    refused: Option<StaleAnswer>,
}

/// Objects that git can fetch from the cache.
#[derive(Clone, Debug)]
pub(crate) struct CacheOffer {
    /// The address of the repository in the cache.
    pub(crate) url: Url,
    /// What the followed ref names.
    pub(crate) found: RemoteRef,
    /// When the git host gave this answer, if it is unreachable now.
    pub(crate) as_of: Option<Timestamp>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Fitness {
    Fit,
    /// The setting that disables the engine.
    Unfit(Setting),
}

/// The outcome of a poll.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PollOutcome {
    /// The ref names what git last fetched.
    Same,
    /// The ref has changed, or its state is unknown.
    AskGit,
    /// The server requests a pause, so git must not fetch either.
    Later { status: StatusCode, wait: Duration },
}

impl Poller {
    /// Creates the poller of one repository; `is_wanted` is false if `--no-poller` or a custom git
    /// program disables it.
    pub(crate) fn new(config: &RepoConfig, is_wanted: bool, metrics: RepoMetrics) -> Self {
        let engine = if is_wanted {
            engine(config)
        } else {
            Err(Setting::of("--no-poller or --git"))
        };
        if let Err(setting) = &engine
            && !config.one_time
        {
            report_off(setting);
        }
        Self::with(engine, config.sync_timeout, metrics)
    }

    fn with(
        engine: Result<Box<dyn Engine>, Setting>,
        sync_timeout: Duration,
        metrics: RepoMetrics,
    ) -> Self {
        if engine.is_err() {
            metrics.set_polled(false);
        }
        Self {
            engine,
            metrics,
            // The rest of the time is left for git.
            patience: POLL_TIMEOUT.min(sync_timeout / 2),
            judged: None,
            files: JudgedFiles::default(),
            failure: None,
            failures: 0,
            failing: None,
            rest: 0,
            cache: None,
            offer: None,
            refused: None,
        }
    }

    /// Whether the next pass may poll.
    pub(crate) fn is_on(&self) -> bool {
        matches!(self.judged, Some((_, Fitness::Fit)))
    }

    /// The poller's state for the status page: `on`, `off` with the setting, or `failing` with the
    /// error. `None` until git has succeeded.
    pub(crate) fn standing(&self) -> Option<String> {
        let fitness = match (&self.engine, &self.judged) {
            // There is no server to poll.
            (Err(setting), _) if *setting == Setting::local() => return Some("off".to_owned()),
            (Err(setting), _) => return Some(format!("off: {setting}")),
            (Ok(_), judged) => &judged.as_ref()?.1,
        };
        Some(match (fitness, &self.failing) {
            (Fitness::Unfit(setting), _) => format!("off: {setting}"),
            (Fitness::Fit, Some(reason)) => format!("failing: {reason}"),
            (Fitness::Fit, None) => "on".to_owned(),
        })
    }

    /// The cache's state for the status page; `None` without a cache.
    pub(crate) fn cache_standing(&self) -> Option<String> {
        Some(self.cache.as_ref()?.standing())
    }

    /// Polls whether the ref still names the object that git fetched with the same credentials.
    pub(crate) async fn ask(
        &mut self,
        grant: &Arc<RemoteCredentials>,
        known: Known<'_>,
    ) -> PollOutcome {
        self.offer = None;
        let is_fit = self.judged == Some((grant.generation, Fitness::Fit));
        let mut then_cache = None;
        if let Some(cache) = self.cache.as_mut().filter(|_| is_fit) {
            cache.renew(grant);
            match cache.advice(Some(known)) {
                CacheAdvice::Same => return PollOutcome::Same,
                CacheAdvice::Fetch { found, as_of } => {
                    let url = cache.url.clone();
                    self.offer = Some(CacheOffer { url, found, as_of });
                    return PollOutcome::AskGit;
                }
                CacheAdvice::TooOld(_) => {}
                CacheAdvice::AskHost { then_cache: has } => {
                    then_cache = has.then(|| cache.url.clone());
                }
            }
        }
        self.ask_host(grant, known, then_cache).await
    }

    /// Polls the git host. `cache` is the address of the repository in the cache, if git can fetch
    /// from there what the poll finds.
    async fn ask_host(
        &mut self,
        grant: &RemoteCredentials,
        known: Known<'_>,
        cache: Option<Url>,
    ) -> PollOutcome {
        let is_fit = self.judged == Some((grant.generation, Fitness::Fit));
        let Some(engine) = self.engine.as_mut().ok().filter(|_| is_fit) else {
            return PollOutcome::AskGit;
        };
        if self.rest > 0 {
            self.rest -= 1;
            return PollOutcome::AskGit;
        }
        let polled = tokio::time::timeout(self.patience, engine.ask(grant, known)).await;
        let error = match polled.unwrap_or(Err(EngineError::TimedOut)) {
            Ok(answer) => {
                self.metrics.count_poll(answer.received);
                self.failure = None;
                self.failures = 0;
                if self.failing.take().is_some() {
                    tracing::info!(v = 0, "polling works again");
                    self.metrics.set_polled(true);
                }
                if answer.is_same {
                    return PollOutcome::Same;
                }
                self.offer = cache.zip(answer.found).map(|(url, found)| CacheOffer {
                    url,
                    found,
                    as_of: None,
                });
                return PollOutcome::AskGit;
            }
            Err(error) => error,
        };
        let reason = redact::redact(&chain(&error));
        match error {
            EngineError::Later { status, wait } => {
                tracing::info!(v = 1, reason, "the poll is postponed");
                PollOutcome::Later { status, wait }
            }
            _ => {
                tracing::info!(v = 1, reason, "the poll failed, running git instead");
                self.failure = Some(reason);
                PollOutcome::AskGit
            }
        }
    }

    /// What git can fetch from the cache in this pass: what the poll has found or, before git has
    /// fetched anything, what the cache or the git host says now.
    pub(crate) async fn offer(
        &mut self,
        config: &RepoConfig,
        grant: &Arc<RemoteCredentials>,
        git: &Git,
        git_dir: &Path,
        prior: PriorState,
    ) -> Option<CacheOffer> {
        self.refused = None;
        let offer = self.offer.take();
        if offer.is_some() || prior == PriorState::Fetched || self.engine.is_err() {
            return offer;
        }
        let is_judged = matches!(&self.judged, Some((own, _)) if *own == grant.generation);
        if !is_judged || self.must_judge_again() {
            self.judge(config, grant, git, git_dir).await;
        }
        let cache = self.cache.as_mut()?;
        cache.renew(grant);
        if prior == PriorState::EarlierTree {
            cache.keep_earlier_tree();
        }
        cache.started().await;
        let url = cache.url.clone();
        match cache.advice(None) {
            CacheAdvice::Fetch { found, as_of } => Some(CacheOffer { url, found, as_of }),
            CacheAdvice::TooOld(answer) => {
                self.refused = Some(answer);
                None
            }
            CacheAdvice::AskHost { then_cache: true } => {
                let nothing = ObjectFormat::Sha1.null();
                let known = Known {
                    object: &nothing,
                    tag: None,
                };
                self.ask_host(grant, known, Some(url)).await;
                self.offer.take()
            }
            CacheAdvice::Same | CacheAdvice::AskHost { .. } => None,
        }
    }

    /// The cache's answer that this pass refused because of its age.
    pub(crate) fn refused(&self) -> Option<StaleAnswer> {
        self.refused
    }

    /// Records that a new commit was published.
    pub(crate) fn has_published(&mut self) {
        if let Some(cache) = &mut self.cache {
            cache.has_acted();
        }
    }

    /// Waits until the cache says that the ref names something else than `known`.
    pub(crate) async fn changed(&self, known: Option<Known<'_>>) {
        match &self.cache {
            Some(cache) => cache.changed(known).await,
            None => std::future::pending().await,
        }
    }

    /// Lends the connection of the last poll to git, if git uses the same credentials. The socket is
    /// created in `dir`.
    pub(crate) fn lend(&self, grant: &RemoteCredentials, dir: &Path) -> Option<Loan> {
        let is_fit = self.judged == Some((grant.generation, Fitness::Fit));
        let engine = self.engine.as_ref().ok().filter(|_| is_fit)?;
        engine.lend(dir)
    }

    /// Discards the check: the repository was recreated, and its own configuration with it.
    pub(crate) fn forget(&mut self) {
        self.judged = None;
    }

    /// Records that git has succeeded with these credentials, and checks the settings if that is
    /// not done.
    pub(crate) async fn git_succeeded(
        &mut self,
        config: &RepoConfig,
        grant: &Arc<RemoteCredentials>,
        git: &Git,
        git_dir: &Path,
    ) {
        if self.engine.is_err() || config.one_time {
            return;
        }
        self.take_a_rest();
        let is_judged = matches!(&self.judged, Some((own, _)) if *own == grant.generation);
        if !is_judged || self.must_judge_again() {
            self.judge(config, grant, git, git_dir).await;
        }
    }

    /// Whether a checked file has changed since.
    pub(crate) fn must_judge_again(&self) -> bool {
        self.judged.is_some() && self.files.have_changed()
    }

    /// Checks whether an engine does the same as git with these credentials, and logs a change.
    pub(crate) async fn judge(
        &mut self,
        config: &RepoConfig,
        grant: &Arc<RemoteCredentials>,
        git: &Git,
        git_dir: &Path,
    ) {
        let before = self.judged.take().map(|(_, fitness)| fitness);
        self.files = JudgedFiles::of(config, git_dir);
        let fitness = match allowed::judge(config, grant, git, git_dir).await {
            Ok(()) => Fitness::Fit,
            Err(setting) => Fitness::Unfit(setting),
        };
        if before.as_ref() != Some(&fitness)
            && let Fitness::Unfit(setting) = &fitness
        {
            report_off(setting);
        }
        self.metrics.set_polled(fitness == Fitness::Fit);
        self.failures = 0;
        self.failing = None;
        self.rest = 0;
        let is_fit = fitness == Fitness::Fit;
        self.judged = Some((grant.generation, fitness));
        self.cache = match self.cache.take() {
            _ if !is_fit => None,
            Some(cache) => Some(cache),
            None => cache(config, grant),
        };
    }

    /// While polls fail and git succeeds, polling every time is useless.
    fn take_a_rest(&mut self) {
        let Some(reason) = self.failure.take() else {
            return;
        };
        self.failures = self.failures.saturating_add(1);
        self.rest = (1 << self.failures.min(LONGEST_REST.ilog2())) - 2;
        if self.failures >= FAILURES_TO_REPORT && self.failing.as_ref() != Some(&reason) {
            tracing::info!(
                v = 0,
                reason,
                "polling fails although git succeeds: the syncer runs git at each pass and retries polling now and then"
            );
            self.metrics.set_polled(false);
            self.failing = Some(reason);
        }
    }
}

/// Starts to follow the repository through the cache; `None` if it cannot.
#[cfg(feature = "poller")]
fn cache(config: &RepoConfig, grant: &Arc<RemoteCredentials>) -> Option<CacheWatch> {
    crate::poll::cache_engines::cache(config, grant)
}

#[cfg(not(feature = "poller"))]
fn cache(_: &RepoConfig, _: &Arc<RemoteCredentials>) -> Option<CacheWatch> {
    None
}

/// Logs once which setting disables the poller: each pass then starts git.
fn report_off(setting: &Setting) {
    tracing::info!(v = 0, %setting, "polling is off: the syncer runs git at each pass");
}

/// The engine for a remote; the error is the setting that only git implements.
fn engine(config: &RepoConfig) -> Result<Box<dyn Engine>, Setting> {
    if config.rev.as_str().parse::<Hash>().is_ok() {
        return Err(Setting::of("the ref is a commit, which never changes"));
    }
    #[cfg(feature = "poller")]
    return crate::poll::native::engine(config);
    #[cfg(not(feature = "poller"))]
    Err(Setting::of("a build without the poller"))
}

#[cfg(test)]
mod tests;
