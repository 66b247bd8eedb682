//! How the repositories stand, for those who ask over HTTP.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

/// All repositories of the process.
#[derive(Default)]
pub(crate) struct Health {
    repos: Mutex<Vec<RepoHealth>>,
}

/// One repository; a clone is a handle to the same.
#[derive(Clone)]
pub(crate) struct RepoHealth(Arc<State>);

struct State {
    name: Option<String>,
    /// How old the last success may be; zero is any age.
    stale_after: Duration,
    last_success: Mutex<Option<Instant>>,
}

impl Health {
    /// Adds a repository, which has not succeeded yet.
    pub(crate) fn for_repo(&self, name: Option<&str>, stale_after: Duration) -> RepoHealth {
        let repo = RepoHealth(Arc::new(State {
            name: name.map(str::to_owned),
            stale_after,
            last_success: Mutex::default(),
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
}

impl RepoHealth {
    /// Notes a success.
    pub(crate) fn succeeded(&self) {
        *lock(&self.0.last_success) = Some(Instant::now());
    }

    fn last_success(&self) -> Option<Instant> {
        *lock(&self.0.last_success)
    }

    fn unready(&self, now: Instant) -> Option<String> {
        let limit = self.0.stale_after;
        let Some(last) = self.last_success() else {
            return Some(format!("{self} is not ready: nothing was synced yet"));
        };
        let age = now.saturating_duration_since(last);
        (!limit.is_zero() && age > limit).then(|| {
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
        match &self.0.name {
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
        let repo = health.for_repo(None, limit);
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
    }

    #[test]
    fn without_a_limit_any_age_is_well_and_each_repository_counts() {
        let health = Health::default();
        let docs = health.for_repo(Some("docs"), Duration::ZERO);
        let site = health.for_repo(Some("site"), Duration::ZERO);
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
