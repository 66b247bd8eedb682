//! The pull-through cache, from the syncer's side: a task waits there for changes of the ref or for
//! pushes, and the passes read the last answer.

use std::sync::Arc;
use std::time::Duration;

use args::CacheTrust;
use args::cache::MAX_WAIT_SECONDS;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use url::Url;

use crate::error::chain;
use crate::poll::engine::CacheEngine;
use crate::poll::engine::CacheReport;
use crate::poll::engine::EngineError;
use crate::poll::engine::Known;
use crate::poll::engine::RemoteRef;
use crate::poll::engine::Staleness;
use crate::redact::redact;
use crate::remote::auth::RemoteCredentials;

/// The shortest wait for a change that is requested from the cache.
const SHORTEST_WAIT: Duration = Duration::from_secs(5);

/// The shortest time between two requests to the cache.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(250);

/// The time for a response, in addition to the requested wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first and the longest wait after a failed request to the cache.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(300);

/// The wait after the cache's answer that the git host is unreachable. After a minute of that the
/// cache serves what it has.
const HOST_AWAY_REST: Duration = Duration::from_secs(5);

/// The longest time over which the followers of a new commit are spread.
const LONGEST_SPREAD: Duration = Duration::from_secs(10);

/// The longest time over which the followers of a push are spread.
const PUSH_SPREAD: Duration = Duration::from_secs(2);

/// A repository in the cache, and what the cache says about the followed ref.
pub(super) struct CacheWatch {
    /// The address of the repository in the cache.
    pub(super) url: Url,
    policy: CachePolicy,
    period: Duration,
    grants: watch::Sender<Arc<RemoteCredentials>>,
    states: watch::Receiver<CacheState>,
    task: JoinHandle<()>,
    /// When the syncer last published a ref; an older answer of the cache is one of the past.
    acted: Option<Timestamp>,
}

/// What the cache is used for.
#[derive(Clone, Copy, Debug)]
pub(super) struct CachePolicy {
    pub(super) role: CacheRole,
    /// The maximum age of an answer from before the git host became unreachable; `None` for no
    /// limit.
    pub(super) max_staleness: Option<Duration>,
}

/// The part of the cache in the sync of a repository.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CacheRole {
    /// It says when there was a push; refs and objects come from the git host.
    Pushes,
    /// It says what the ref names, with this trust, and has the objects.
    Repository(CacheTrust),
}

/// What is known about the cache.
#[derive(Clone, Debug)]
pub(super) enum CacheState {
    /// The first request has no response yet.
    Starting,
    /// Its last answer.
    Answered(CacheReport),
    /// The syncer continues without it, for this reason.
    Away(String),
    /// Nothing tells the cache of pushes, and this syncer would wait for them alone.
    NoPushes,
}

/// An answer of the cache that `--max-staleness` refuses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct StaleAnswer {
    /// When the git host gave the answer.
    pub(crate) as_of: Timestamp,
    /// The maximum age of an answer.
    pub(crate) max_staleness: Duration,
}

/// What the syncer has before a pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PriorState {
    /// No tree is published.
    Empty,
    /// A tree of an earlier process is published: how old the commit is, is not known.
    EarlierTree,
    /// This process has fetched.
    Fetched,
}

/// What the cache's last answer means for a pass.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum CacheAdvice {
    /// The ref names what git last fetched.
    Same,
    /// The ref names something else, which the cache has. `as_of` is the time of the git host's
    /// answer if the host is unreachable now.
    Fetch {
        found: RemoteRef,
        as_of: Option<Timestamp>,
    },
    /// The git host is unreachable, and its last answer is older than `--max-staleness` allows.
    TooOld(StaleAnswer),
    /// The git host must be asked. `then_cache` if the cache has the objects all the same.
    AskHost { then_cache: bool },
}

impl CacheWatch {
    /// Starts to wait at the cache, with these credentials.
    pub(super) fn start(
        engine: Box<dyn CacheEngine>,
        url: Url,
        policy: CachePolicy,
        period: Duration,
        grant: &Arc<RemoteCredentials>,
    ) -> Self {
        let (grants, granted) = watch::channel(grant.clone());
        let (sender, states) = watch::channel(CacheState::Starting);
        let longest = Duration::from_secs(MAX_WAIT_SECONDS);
        let wait = period.clamp(SHORTEST_WAIT, longest);
        Self {
            url,
            policy,
            period,
            grants,
            states,
            task: tokio::spawn(keep_asking(engine, wait, granted, sender)),
            acted: None,
        }
    }

    /// Uses these credentials from now on.
    pub(super) fn renew(&self, grant: &Arc<RemoteCredentials>) {
        self.grants.send_if_modified(|last| {
            let has_changed = last.generation != grant.generation;
            if has_changed {
                *last = grant.clone();
            }
            has_changed
        });
    }

    /// Waits for the first response, if it matters to the first pass.
    pub(super) async fn started(&mut self) {
        if self.policy.role == CacheRole::Pushes {
            return;
        }
        let is_known = |state: &CacheState| !matches!(state, CacheState::Starting);
        // The task ends with this value only, and after the time limit the git host is asked.
        let _ = tokio::time::timeout(PATIENCE, self.states.wait_for(is_known)).await;
    }

    /// What a pass does after the last answer. `known` is what git last fetched.
    pub(super) fn advice(&mut self, known: Option<Known<'_>>) -> CacheAdvice {
        let state = self.states.borrow_and_update().clone();
        let advice = advice(&state, self.policy, self.acted, known);
        if let CacheAdvice::Fetch {
            as_of: Some(as_of), ..
        } = &advice
        {
            tracing::info!(v = 0, %as_of, "the git host is unreachable, starting with the commit that the cache last knew");
        }
        advice
    }

    /// Takes what is published before this process has fetched for as new as can be: only an answer
    /// from now on replaces it.
    pub(super) fn keep_earlier_tree(&mut self) {
        self.acted.get_or_insert_with(Timestamp::now);
    }

    /// Records that what the git host or the cache named was published.
    pub(super) fn has_acted(&mut self) {
        self.acted = Some(Timestamp::now());
    }

    /// Waits until the cache says that the ref names something else than `known`, and a random part
    /// of the period if each follower asks the git host then. Without anything known, a commit that the
    /// next pass fetches from the cache is news, even one from before the git host became unreachable.
    pub(super) async fn changed(&self, known: Option<Known<'_>>) {
        let mut states = self.states.clone();
        loop {
            if states.changed().await.is_err() {
                return std::future::pending().await;
            }
            let state = states.borrow().clone();
            match (&state, known) {
                (CacheState::Answered(report), Some(known)) if is_news(report, known) => break,
                (_, None) if self.fetches_first(&state) => return,
                _ => {}
            }
        }
        let spread = match self.policy.role {
            CacheRole::Pushes => self.period.min(PUSH_SPREAD),
            CacheRole::Repository(CacheTrust::Content) => self.period.min(LONGEST_SPREAD),
            CacheRole::Repository(CacheTrust::Full) => return,
        };
        tokio::time::sleep(spread.mul_f64(fastrand::f64())).await;
    }

    /// Whether a pass without anything published fetches from the cache after this answer.
    fn fetches_first(&self, state: &CacheState) -> bool {
        matches!(
            advice(state, self.policy, self.acted, None),
            CacheAdvice::Fetch { .. }
        )
    }

    /// The cache's state for the status page.
    pub(super) fn standing(&self) -> String {
        match &*self.states.borrow() {
            CacheState::Starting => "starting".to_owned(),
            // Without the age, which would change the text at each answer.
            CacheState::Answered(report) => match report.stale {
                Some(Staleness { as_of, .. }) => {
                    format!("on; the git host is unreachable since {as_of:.0}")
                }
                None if self.policy.role == CacheRole::Pushes => "on for pushes alone".to_owned(),
                None => "on".to_owned(),
            },
            CacheState::Away(reason) => format!("direct: {reason}"),
            CacheState::NoPushes => format!("off: {}", EngineError::NoPushes),
        }
    }
}

impl Drop for CacheWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn is_news(report: &CacheReport, known: Known<'_>) -> bool {
    report.stale.is_none() && !report.found.as_ref().is_some_and(|found| found.is(known))
}

/// Pure part of [`CacheWatch::advice`].
fn advice(
    state: &CacheState,
    policy: CachePolicy,
    acted: Option<Timestamp>,
    known: Option<Known<'_>>,
) -> CacheAdvice {
    let (CacheState::Answered(report), CacheRole::Repository(trust)) = (state, policy.role) else {
        return CacheAdvice::AskHost { then_cache: false };
    };
    let is_same = |known| report.found.as_ref().is_some_and(|found| found.is(known));
    let is_trusted = trust == CacheTrust::Full;
    let too_old = report.stale.and_then(|stale| {
        let max_staleness = policy
            .max_staleness
            .filter(|longest| stale.age > *longest)?;
        let as_of = stale.as_of;
        Some(StaleAnswer {
            as_of,
            max_staleness,
        })
    });
    match (&report.found, known) {
        // Something is published, and the ref may have moved since this answer.
        (_, Some(_)) if report.stale.is_some() => CacheAdvice::AskHost { then_cache: false },
        (_, Some(known)) if is_same(known) => CacheAdvice::Same,
        (_, None) if is_trusted && let Some(answer) = too_old => CacheAdvice::TooOld(answer),
        // Another replica of the cache may be behind the one that answered before.
        (Some(found), _) if is_trusted && acted.is_none_or(|acted| report.as_of > Some(acted)) => {
            CacheAdvice::Fetch {
                found: found.clone(),
                as_of: report.stale.map(|stale| stale.as_of),
            }
        }
        _ => CacheAdvice::AskHost { then_cache: true },
    }
}

/// Asks the cache again and again, and publishes what it says.
async fn keep_asking(
    mut engine: Box<dyn CacheEngine>,
    wait: Duration,
    mut granted: watch::Receiver<Arc<RemoteCredentials>>,
    states: watch::Sender<CacheState>,
) {
    let mut rest = FIRST_REST;
    loop {
        let began = Instant::now();
        let grant = granted.borrow_and_update().clone();
        let asked = tokio::select! {
            asked = tokio::time::timeout(wait + PATIENCE, engine.ask(&grant, wait)) => asked,
            // The next request has the new credentials.
            Ok(()) = granted.changed() => continue,
        };
        match asked.unwrap_or(Err(EngineError::TimedOut)) {
            Ok(report) => {
                rest = FIRST_REST;
                if let Some(report) = report {
                    if matches!(&*states.borrow(), CacheState::Away(_)) {
                        tracing::info!(v = 0, "the cache answers again");
                    }
                    states.send_replace(CacheState::Answered(report));
                }
                // Whatever the cache answers, the requests to it are bounded.
                tokio::time::sleep_until(began + SHORTEST_INTERVAL).await;
            }
            Err(error) => {
                match &error {
                    EngineError::NoPushes => {
                        rest = LONGEST_REST;
                        states.send_replace(CacheState::NoPushes);
                    }
                    error => {
                        let reason = redact(&chain(error));
                        if !matches!(&*states.borrow(), CacheState::Away(last) if *last == reason) {
                            tracing::info!(v = 0, reason, "the syncer continues without the cache");
                            states.send_replace(CacheState::Away(reason));
                        }
                    }
                }
                if matches!(error, EngineError::HostAway(_)) {
                    rest = HOST_AWAY_REST;
                }
                // Spread, so that the followers of a restarted cache do not come at once.
                let pause = rest.mul_f64(0.5 + fastrand::f64());
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    _ = granted.changed() => {}
                }
                rest = (rest * 2).min(LONGEST_REST);
            }
        }
    }
}

#[cfg(test)]
mod tests;
