//! Whether an engine is asked, and what its answer means for a pass.

use std::sync::Arc;
use std::time::Duration;

use args::RepoKind;
use hyper::StatusCode;
use url::Url;

use crate::auth::Grant;
use crate::config::RepoConfig;
use crate::engine::Answer;
use crate::engine::Engine;
use crate::engine::EngineError;
use crate::engine::allowed;
use crate::engine::allowed::Setting;
use crate::engine::http::HttpEngine;
use crate::engine::ssh::SshEngine;
use crate::git::Git;
use crate::git::Hash;
use crate::metrics::RepoMetrics;
use crate::mirror::Mirror;
use crate::redact;
use crate::sync::chain;
use crate::web::Proxies;

/// The longest time for one poll.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections are kept where the next poll comes this soon. Servers, and routers between, close
/// one that is idle for longer.
const KEEPING: Duration = Duration::from_secs(60);

/// Near it lies the most passes that an engine rests for, when it fails again and again where git
/// does not: two less, as the waits are 0, 2, 6, 14 and 30.
const LONGEST_REST: u32 = 32;

/// After so many polls that failed one after the other where git succeeded, the trouble is reported.
const FAILURES_TO_REPORT: u32 = 3;

/// Polls one remote, wherever git itself need not be asked.
pub(crate) struct Poller {
    /// The engine, or what rules it out from the start.
    engine: Result<Box<dyn Engine>, Setting>,
    metrics: RepoMetrics,
    patience: Duration,
    /// The grant with which git has succeeded, and whether an engine does with it what git does.
    judged: Option<(u64, Fitness)>,
    /// Why the last poll failed.
    failure: Option<String>,
    failures: u32,
    /// Why polls fail again and again where git succeeds, once that is reported.
    failing: Option<String>,
    /// Passes that the engine sits out.
    rest: u32,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Fitness {
    Fit,
    /// What keeps the engine from being asked.
    Unfit(Setting),
}

/// What a poll came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Polled {
    /// The ref names what git last fetched.
    Same,
    /// It does not, or nobody knows.
    AskGit,
    /// The server wants no request for a while, so git must not ask either.
    Later { status: StatusCode, wait: Duration },
}

impl Poller {
    /// The poller of one repository; `is_wanted` is false where `--no-poller` or a git program of
    /// the user's own rules it out.
    pub(crate) fn new(config: &RepoConfig, is_wanted: bool, metrics: RepoMetrics) -> Self {
        let engine = match is_wanted {
            true => engine(config),
            false => Err(Setting::of("--no-poller or --git")),
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
            // What is left of the time is git's.
            patience: PATIENCE.min(sync_timeout / 2),
            judged: None,
            failure: None,
            failures: 0,
            failing: None,
            rest: 0,
        }
    }

    /// Tells whether the next pass may ask an engine.
    pub(crate) fn is_on(&self) -> bool {
        matches!(self.judged, Some((_, Fitness::Fit)))
    }

    /// How the remote is asked, for the status page: `on`, `off` and what keeps it so, or `failing`
    /// and why. Nobody knows before git has succeeded.
    pub(crate) fn standing(&self) -> Option<String> {
        let fitness = match (&self.engine, &self.judged) {
            // There is no server that could be polled.
            (Err(setting), _) if *setting == local() => return Some("off".to_owned()),
            (Err(setting), _) => return Some(format!("off: {setting}")),
            (Ok(_), judged) => &judged.as_ref()?.1,
        };
        Some(match (fitness, &self.failing) {
            (Fitness::Unfit(setting), _) => format!("off: {setting}"),
            (Fitness::Fit, Some(reason)) => format!("failing: {reason}"),
            (Fitness::Fit, None) => "on".to_owned(),
        })
    }

    /// Asks whether the ref still names the object that git fetched with the same grant.
    pub(crate) async fn ask(&mut self, grant: &Grant, known: &Hash) -> Polled {
        let is_fit = self.judged == Some((grant.generation, Fitness::Fit));
        let Some(engine) = self.engine.as_mut().ok().filter(|_| is_fit) else {
            return Polled::AskGit;
        };
        if self.rest > 0 {
            self.rest -= 1;
            return Polled::AskGit;
        }
        let asked = tokio::time::timeout(self.patience, engine.ask(grant, known)).await;
        let error = match asked.unwrap_or(Err(EngineError::TimedOut)) {
            Ok(told) => {
                self.metrics.count_poll(told.received);
                self.failure = None;
                self.failures = 0;
                if self.failing.take().is_some() {
                    tracing::info!(v = 0, "polls succeed again");
                    self.metrics.set_polled(true);
                }
                return match told.answer {
                    Answer::Same => Polled::Same,
                    Answer::Different => Polled::AskGit,
                };
            }
            Err(error) => error,
        };
        let reason = redact::redact(&chain(&error));
        tracing::info!(v = 1, reason, "the poll failed, asking git");
        match error {
            EngineError::Later { status, wait } => Polled::Later { status, wait },
            _ => {
                self.failure = Some(reason);
                Polled::AskGit
            }
        }
    }

    /// Forgets what was judged: the repository was made anew, and its own configuration with it.
    pub(crate) fn forget(&mut self) {
        self.judged = None;
    }

    /// Notes that git has succeeded with this grant; judges, once for each grant, whether an engine
    /// would do the same as git.
    pub(crate) async fn git_succeeded(
        &mut self,
        config: &RepoConfig,
        grant: &Grant,
        git: &Git,
        mirror: &Mirror,
    ) {
        if self.engine.is_err() || config.one_time {
            return;
        }
        self.take_a_rest();
        let before = match &self.judged {
            Some((generation, _)) if *generation == grant.generation => return,
            Some((_, fitness)) => Some(fitness.clone()),
            None => None,
        };
        let fitness = match allowed::judge(config, grant, git, mirror).await {
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
        self.judged = Some((grant.generation, fitness));
    }

    /// Where git has got on and we have not, there is no use in asking twice each time.
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
                "polls fail where git succeeds: git is asked at each pass, and a poll is tried now \
                 and then"
            );
            self.metrics.set_polled(false);
            self.failing = Some(reason);
        }
    }
}

/// Reports once what keeps the poller off: each pass starts git then.
fn report_off(setting: &Setting) {
    tracing::info!(v = 0, %setting, "git is asked at each pass, without a poll before");
}

fn local() -> Setting {
    Setting::of("a path on this machine")
}

fn engine(config: &RepoConfig) -> Result<Box<dyn Engine>, Setting> {
    let name = config.rev.as_str();
    let is_keeping = config.period <= KEEPING;
    if name.parse::<Hash>().is_ok() {
        return Err(Setting::of("the ref is a commit, which never changes"));
    }
    let address = || Setting::of("an address that only git understands");
    match config.repo.kind {
        RepoKind::Git => Err(Setting::of("a git:// address")),
        RepoKind::Local => Err(local()),
        RepoKind::Http => {
            let url = Url::parse(&config.repo.url).map_err(|_| address())?;
            if url.query().is_some() || url.fragment().is_some() {
                return Err(Setting::of("an address with a query"));
            }
            let proxies = Arc::new(Proxies::of(&config.environment));
            Ok(Box::new(HttpEngine::new(url, name, is_keeping, proxies)))
        }
        RepoKind::Ssh => {
            let engine = SshEngine::new(&config.repo.url, name, is_keeping);
            Ok(Box::new(engine.ok_or_else(address)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Asking;
    use crate::engine::Told;
    use crate::engine::packets::ProtocolError;
    use crate::metrics::Metrics;

    /// Gives the same answer each time, and counts.
    #[derive(Debug)]
    struct Fake {
        answer: fn() -> Result<Answer, EngineError>,
        asked: Arc<std::sync::atomic::AtomicUsize>,
    }

    impl Engine for Fake {
        fn ask<'a>(&'a mut self, _: &'a Grant, _: &'a Hash) -> Asking<'a> {
            self.asked
                .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let answer = (self.answer)();
            Box::pin(async move {
                if let Err(EngineError::TimedOut) = answer {
                    std::future::pending::<()>().await;
                }
                Ok(Told {
                    answer: answer?,
                    received: 100,
                })
            })
        }
    }

    struct Setup {
        poller: Poller,
        asked: Arc<std::sync::atomic::AtomicUsize>,
        known: Hash,
    }

    /// A poller of a fake, with whose first grant git has succeeded.
    fn setup(answer: fn() -> Result<Answer, EngineError>) -> Setup {
        let asked = Arc::default();
        let fake = Fake {
            answer,
            asked: Arc::clone(&asked),
        };
        let metrics = Metrics::new().for_repo(None);
        let mut poller = Poller::with(Ok(Box::new(fake)), Duration::from_secs(120), metrics);
        poller.judged = Some((1, Fitness::Fit));
        Setup {
            poller,
            asked,
            known: "e83c5163316f89bfbde7d9ab23ca2e25604af290".parse().unwrap(),
        }
    }

    impl Setup {
        async fn ask(&mut self, generation: u64) -> Polled {
            let grant = Grant {
                generation,
                ..Grant::default()
            };
            self.poller.ask(&grant, &self.known).await
        }

        fn asked(&self) -> usize {
            self.asked.load(std::sync::atomic::Ordering::Relaxed)
        }
    }

    #[tokio::test]
    async fn an_engine_is_asked_with_the_grant_of_gits_success_alone() {
        let mut same = setup(|| Ok(Answer::Same));
        assert_eq!(same.ask(1).await, Polled::Same);
        assert_eq!(same.ask(2).await, Polled::AskGit);
        assert_eq!(same.asked(), 1);
        same.poller.judged = None;
        assert_eq!(same.ask(1).await, Polled::AskGit);
        same.poller.judged = Some((1, Fitness::Unfit(Setting::of("http.proxy"))));
        assert_eq!(same.ask(1).await, Polled::AskGit);
        assert_eq!(same.asked(), 1);
        let mut different = setup(|| Ok(Answer::Different));
        assert_eq!(different.ask(1).await, Polled::AskGit);
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_does_not_answer_is_given_up() {
        let mut hanging = setup(|| Err(EngineError::TimedOut));
        assert_eq!(hanging.ask(1).await, Polled::AskGit);
    }

    #[tokio::test]
    async fn an_engine_that_fails_where_git_does_not_rests_longer_and_longer() {
        let mut failing = setup(|| Err(EngineError::Protocol(ProtocolError::Malformed)));
        let mut pauses = Vec::new();
        let mut pause = 0;
        while pauses.len() < 8 {
            let before = failing.asked();
            assert_eq!(failing.ask(1).await, Polled::AskGit);
            failing.poller.take_a_rest();
            if failing.asked() == before {
                pause += 1;
            } else {
                pauses.push(std::mem::take(&mut pause));
            }
        }
        assert_eq!(pauses, [0, 0, 2, 6, 14, 30, 30, 30]);
    }

    #[tokio::test]
    async fn polls_that_fail_again_and_again_are_reported_until_one_succeeds() {
        let mut failing = setup(|| Err(EngineError::Protocol(ProtocolError::Malformed)));
        for _ in 0..3 {
            assert_eq!(failing.poller.standing().as_deref(), Some("on"));
            failing.poller.rest = 0;
            failing.ask(1).await;
            failing.poller.take_a_rest();
        }
        let standing = failing.poller.standing().unwrap();
        assert!(standing.starts_with("failing: "), "{standing}");
        let well = setup(|| Ok(Answer::Same));
        failing.poller.engine = well.poller.engine;
        failing.poller.rest = 0;
        assert_eq!(failing.ask(1).await, Polled::Same);
        assert_eq!(failing.poller.standing().as_deref(), Some("on"));
    }

    #[tokio::test]
    async fn an_outage_that_git_suffers_too_is_no_reason_to_rest() {
        let mut failing = setup(|| Err(EngineError::Protocol(ProtocolError::Short)));
        for _ in 0..5 {
            failing.ask(1).await;
        }
        assert_eq!(failing.asked(), 5);
    }

    #[tokio::test]
    async fn who_wants_to_be_left_alone_is() {
        let mut busy = setup(|| {
            Err(EngineError::Later {
                status: StatusCode::TOO_MANY_REQUESTS,
                wait: Duration::from_secs(30),
            })
        });
        let later = Polled::Later {
            status: StatusCode::TOO_MANY_REQUESTS,
            wait: Duration::from_secs(30),
        };
        assert_eq!(busy.ask(1).await, later);
    }
}
