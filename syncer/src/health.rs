//! How the repositories stand, for those who ask over HTTP.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use jiff::Timestamp;
use serde::Serialize;

use crate::redact::redact;

/// All repositories of the process.
#[derive(Default)]
pub(crate) struct Health {
    repos: Mutex<Vec<RepoHealth>>,
}

/// One repository; a clone is a handle to the same.
#[derive(Clone)]
pub(crate) struct RepoHealth(Arc<State>);

struct State {
    /// How old the last success may be; zero is any age.
    stale_after: Duration,
    last_success: Mutex<Option<Instant>>,
    standing: Mutex<Standing>,
}

/// What the status page shows of a repository. Times are RFC 3339; all texts are free of secrets.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Standing {
    /// The only repository of a process has none.
    name: Option<String>,
    repo: String,
    r#ref: String,
    phase: Phase,
    published: Option<Published>,
    last_success: Option<Timestamp>,
    /// None after a success.
    last_error: Option<String>,
    /// Failures since the last success.
    failures: u64,
    /// When the next pass begins, unless something wakes it before.
    next_pass: Option<Timestamp>,
    /// Whether the remote is polled without git; none before git has succeeded.
    poller: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Published {
    commit: String,
    /// When this process published it, or found it published.
    since: Timestamp,
}

/// What is done for a repository at this moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Phase {
    /// A pass runs, or waits for its turn.
    #[default]
    Syncing,
    /// The next pass is yet to come.
    Waiting,
    /// It was to be synced one time, or cloned, and is.
    Done,
    /// It failed too often.
    GaveUp,
}

impl Health {
    /// Adds a repository, which has not succeeded yet; its address is free of credentials.
    pub(crate) fn for_repo(
        &self,
        name: Option<&str>,
        repo: &str,
        rev: &str,
        stale_after: Duration,
    ) -> RepoHealth {
        let standing = Standing {
            name: name.map(str::to_owned),
            repo: redact(repo),
            r#ref: rev.to_owned(),
            ..Standing::default()
        };
        let repo = RepoHealth(Arc::new(State {
            stale_after,
            last_success: Mutex::default(),
            standing: Mutex::new(standing),
        }));
        lock(&self.repos).push(repo.clone());
        repo
    }

    /// Tells whether every repository has succeeded once; from then on for ever.
    pub(crate) fn has_begun(&self) -> bool {
        let repos = lock(&self.repos);
        !repos.is_empty() && repos.iter().all(|repo| repo.last_success().is_some())
    }

    /// Says in a sentence of each repository that is not ready why.
    pub(crate) fn unready(&self, now: Instant) -> Vec<String> {
        let repos = lock(&self.repos);
        repos.iter().filter_map(|repo| repo.unready(now)).collect()
    }

    /// The status page: `{"repos": [{"name": …}, …]}`.
    pub(crate) fn page(&self) -> String {
        let repos = lock(&self.repos);
        let repos: Vec<Standing> = repos.iter().map(|repo| repo.standing().clone()).collect();
        serde_json::json!({ "repos": repos }).to_string()
    }
}

impl RepoHealth {
    /// Notes that a pass begins, or the end of all of them.
    pub(crate) fn is_now(&self, phase: Phase) {
        let mut standing = self.standing();
        standing.phase = phase;
        standing.next_pass = None;
    }

    /// Notes a success.
    pub(crate) fn succeeded(&self) {
        *lock(&self.0.last_success) = Some(Instant::now());
        let mut standing = self.standing();
        standing.last_success = Some(Timestamp::now());
        standing.last_error = None;
        standing.failures = 0;
    }

    /// Notes a failure, in words without secrets.
    pub(crate) fn failed(&self, error: &str) {
        let mut standing = self.standing();
        standing.last_error = Some(error.to_owned());
        standing.failures += 1;
    }

    /// Notes which commit readers see.
    pub(crate) fn shows(&self, commit: &str) {
        let mut standing = self.standing();
        let shown = standing.published.as_ref();
        if shown.is_none_or(|shown| shown.commit != commit) {
            standing.published = Some(Published {
                commit: commit.to_owned(),
                since: Timestamp::now(),
            });
        }
    }

    /// Notes whether the remote is polled without git.
    pub(crate) fn polls(&self, standing: Option<String>) {
        // The reason may be a key of git's configuration, which may have an address in it.
        self.standing().poller = standing.map(|text| redact(&text));
    }

    /// Notes when the next pass is to come.
    pub(crate) fn waits(&self, wait: Duration) {
        let mut standing = self.standing();
        standing.phase = Phase::Waiting;
        standing.next_pass = Timestamp::try_from(SystemTime::now() + wait).ok();
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        lock(&self.0.standing)
    }

    fn last_success(&self) -> Option<Instant> {
        *lock(&self.0.last_success)
    }

    fn unready(&self, now: Instant) -> Option<String> {
        let limit = self.0.stale_after;
        let Some(last) = self.last_success() else {
            return Some(format!("{self} is not ready: nothing was synced yet"));
        };
        // What was to be done once does not grow old.
        let is_done = self.standing().phase == Phase::Done;
        let age = now.saturating_duration_since(last);
        (!is_done && !limit.is_zero() && age > limit).then(|| {
            let age = Duration::from_secs(age.as_secs());
            format!(
                "{self} is not ready: the last successful sync was {age:?} ago, and --stale-after \
                 allows {limit:?}"
            )
        })
    }
}

impl fmt::Display for RepoHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.standing().name {
            Some(name) => write!(f, "repo {name}"),
            None => f.write_str("repo"),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_ends_with_age_and_begins_again_with_a_success() {
        let health = Health::default();
        let limit = Duration::from_secs(30);
        let repo = health.for_repo(None, "https://git.example/x", "main", limit);
        assert!(!health.has_begun());
        let now = Instant::now();
        assert_eq!(
            health.unready(now),
            ["repo is not ready: nothing was synced yet"]
        );
        repo.succeeded();
        let now = Instant::now();
        assert!(health.has_begun());
        assert_eq!(health.unready(now + limit / 2), [""; 0]);
        assert_eq!(
            health.unready(now + Duration::from_secs(45)),
            [
                "repo is not ready: the last successful sync was 45s ago, and --stale-after allows 30s"
            ]
        );
        repo.is_now(Phase::Done);
        assert_eq!(health.unready(now + Duration::from_secs(45)), [""; 0]);
    }

    #[test]
    fn without_a_limit_any_age_is_well_and_each_repository_counts() {
        let health = Health::default();
        let docs = health.for_repo(Some("docs"), "", "", Duration::ZERO);
        let site = health.for_repo(Some("site"), "", "", Duration::ZERO);
        docs.succeeded();
        assert!(!health.has_begun());
        assert_eq!(
            health.unready(Instant::now()),
            ["repo site is not ready: nothing was synced yet"]
        );
        site.succeeded();
        let later = Instant::now() + Duration::from_secs(1_000_000);
        assert!(health.has_begun());
        assert_eq!(health.unready(later), [""; 0]);
    }
}
