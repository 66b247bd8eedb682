//! The health of the repositories, served over HTTP.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use jiff::Timestamp;

use crate::observe::health_file::HealthFile;
pub(crate) use crate::observe::standing::Phase;
use crate::observe::standing::Published;
use crate::observe::standing::Standing;
use crate::redact::redact;
use crate::system::lock::lock;

/// The health of all repositories of the process.
#[derive(Default)]
pub(crate) struct Health {
    repos: Mutex<Vec<RepoHealth>>,
}

/// The health of one repository; clones share their state.
#[derive(Clone)]
pub(crate) struct RepoHealth(Arc<State>);

struct State {
    /// The maximum age of the last success; zero means no limit.
    stale_after: Duration,
    last_success: Mutex<Option<Instant>>,
    standing: Mutex<Standing>,
    file: HealthFile,
}

impl Health {
    /// Adds a repository that has not succeeded yet; its address must contain no credentials. Its
    /// state is also written into `state`.
    pub(crate) fn for_repo(
        &self,
        name: Option<&str>,
        repo: &str,
        rev: &str,
        stale_after: Duration,
        state: Option<&Path>,
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
            file: HealthFile::open(state, &standing),
            standing: Mutex::new(standing),
        }));
        lock(&self.repos).push(repo.clone());
        repo
    }

    /// Whether every repository has succeeded once; it then stays true.
    pub(crate) fn has_begun(&self) -> bool {
        let repos = lock(&self.repos);
        !repos.is_empty() && repos.iter().all(|repo| repo.last_success().is_some())
    }

    /// One sentence per repository that is not ready, with the reason.
    pub(crate) fn unready(&self, now: Instant) -> Vec<String> {
        let repos = lock(&self.repos);
        repos.iter().filter_map(|repo| repo.unready(now)).collect()
    }

    /// The state of each repository.
    pub(crate) fn standings(&self) -> Vec<Standing> {
        let repos = lock(&self.repos);
        repos.iter().map(|repo| repo.standing().clone()).collect()
    }
}

impl RepoHealth {
    /// Records the start of a pass, or the end of the last one.
    pub(crate) fn set_phase(&self, phase: Phase) {
        let mut standing = self.standing();
        standing.phase = phase;
        standing.next_pass = None;
    }

    /// Records a success.
    pub(crate) fn succeeded(&self) {
        *lock(&self.0.last_success) = Some(Instant::now());
        let mut standing = self.standing();
        standing.last_success = Some(Timestamp::now());
        standing.last_error = None;
        standing.failures = 0;
        self.0.file.update(&standing);
    }

    /// Records a failure; the text must contain no secrets.
    pub(crate) fn failed(&self, error: &str) {
        let mut standing = self.standing();
        standing.last_error = Some(error.to_owned());
        standing.failures += 1;
        self.0.file.update(&standing);
    }

    /// Records the commit that consumers see, and the tag that a range of versions selected.
    pub(crate) fn set_published(&self, commit: &str, tag: Option<&str>) {
        let mut standing = self.standing();
        let shown = standing.published.as_ref();
        let shown = shown.filter(|shown| shown.commit == commit);
        if shown.is_some_and(|shown| shown.tag.as_deref() == tag) {
            return;
        }
        let since = shown.map_or_else(Timestamp::now, |shown| shown.since);
        standing.published = Some(Published {
            commit: commit.to_owned(),
            tag: tag.map(str::to_owned),
            since,
            as_of: None,
        });
        self.0.file.update(&standing);
    }

    /// Records when the git host named the published commit, if the syncer has not reached it since.
    pub(crate) fn set_as_of(&self, as_of: Option<Timestamp>) {
        let mut standing = self.standing();
        if let Some(published) = &mut standing.published
            && published.as_of != as_of
        {
            published.as_of = as_of;
            self.0.file.update(&standing);
        }
    }

    /// Records whether the remote is polled without git, and the state of the pull-through cache.
    pub(crate) fn set_poller_state(&self, poller: Option<String>, cache: Option<String>) {
        let mut standing = self.standing();
        // The reason may be a key of git's configuration, which may contain an address.
        standing.poller = poller.map(|text| redact(&text));
        standing.cache = cache;
        self.0.file.update(&standing);
    }

    /// Records when the next pass starts.
    pub(crate) fn set_next_pass_in(&self, wait: Duration) {
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
            return Some(format!("{self} is not ready: no sync has succeeded yet"));
        };
        // A one-time task does not become stale.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_ends_with_age_and_begins_again_with_a_success() {
        let health = Health::default();
        let limit = Duration::from_secs(30);
        let repo = health.for_repo(None, "https://git.example/x", "main", limit, None);
        assert!(!health.has_begun());
        let now = Instant::now();
        assert_eq!(
            health.unready(now),
            ["repo is not ready: no sync has succeeded yet"]
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
        repo.set_phase(Phase::Done);
        assert_eq!(health.unready(now + Duration::from_secs(45)), [""; 0]);
    }

    #[test]
    fn without_a_limit_any_age_is_ready_and_every_repository_must_succeed() {
        let health = Health::default();
        let docs = health.for_repo(Some("docs"), "", "", Duration::ZERO, None);
        let site = health.for_repo(Some("site"), "", "", Duration::ZERO, None);
        docs.succeeded();
        assert!(!health.has_begun());
        assert_eq!(
            health.unready(Instant::now()),
            ["repo site is not ready: no sync has succeeded yet"]
        );
        site.succeeded();
        let later = Instant::now() + Duration::from_secs(1_000_000);
        assert!(health.has_begun());
        assert_eq!(health.unready(later), [""; 0]);
    }
}
