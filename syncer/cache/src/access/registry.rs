//! What is known about credentials and hosts: accepted and refused credentials, requested pauses,
//! and hosts that are unreachable.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::HeaderValue;
use tokio::time::Instant;

use crate::access::credential::Identity;
use crate::access::credential::Scope;

/// How long a credential is accepted after a valid answer to its own `ls-refs`.
pub(crate) const ACCEPTED: Duration = Duration::from_secs(5 * 60);

/// How long a refusal is remembered.
const REFUSED: Duration = Duration::from_secs(60);

/// The window in which refusals of a host are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// The most refusals of a host in a window: hosts ban an address after ten failures a minute, and
/// all followers share the cache's address.
const MOST_REFUSALS: usize = 5;

/// The same for requests without a credential, which no host bans for.
const MOST_ANONYMOUS_REFUSALS: usize = 60;

/// How long a host must have failed, without a success, before it counts as away.
const AWAY_AFTER: Duration = Duration::from_secs(60);

/// Failures further apart do not count together.
const AWAY_GAP: Duration = Duration::from_secs(5 * 60);

/// The longest pause that a host can request.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// The most accepted credentials; further ones are verified at the origin each time.
const MOST_ACCEPTED: usize = 200_000;

/// Why a request is not sent to the origin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Denial {
    /// The origin has refused the credential.
    Refused(Refusal),
    /// A request may be sent after this time.
    Later(Duration),
}

/// A refusal of the origin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Refusal {
    /// 401, 403 or 404.
    pub(crate) status: StatusCode,
    /// The challenge of a 401.
    pub(crate) challenge: Option<HeaderValue>,
}

/// The registry.
#[derive(Default)]
pub(crate) struct Registry {
    /// How long an accepted credential is served while its host is away.
    offline: Duration,
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    accepted: HashMap<Scope, Instant>,
    /// Credentials for which the origin has advertised its capabilities, which is no acceptance.
    greeted: HashMap<Scope, Instant>,
    /// Stored answers that the origin has given to the credential itself.
    granted: HashMap<Scope, HashMap<[u8; 32], Instant>>,
    refused: HashMap<Scope, (Refusal, Instant)>,
    pauses: HashMap<(String, Identity), Instant>,
    /// Times of refusals, by host and by whether the request had no credential.
    refusals: HashMap<(String, bool), VecDeque<Instant>>,
    failing: HashMap<String, Failing>,
}

/// A host without a success since the first of these failures.
struct Failing {
    since: Instant,
    last: Instant,
}

impl Registry {
    pub(crate) fn new(offline: Duration) -> Self {
        Self {
            offline,
            tables: Mutex::default(),
        }
    }

    /// Whether a request may be sent to the origin.
    pub(crate) fn check(&self, scope: &Scope, is_anonymous: bool) -> Result<(), Denial> {
        let now = Instant::now();
        let mut tables = self.lock();
        if let Some((refusal, at)) = tables.refused.get(scope)
            && now < *at + REFUSED
        {
            return Err(Denial::Refused(refusal.clone()));
        }
        let host = scope.origin.authority();
        if let Some(until) = tables.pauses.get(&(host.clone(), scope.identity))
            && *until > now
        {
            return Err(Denial::Later(*until - now));
        }
        if tables.accepted.contains_key(scope) {
            return Ok(());
        }
        let most = match is_anonymous {
            true => MOST_ANONYMOUS_REFUSALS,
            false => MOST_REFUSALS,
        };
        if let Some(refusals) = tables.refusals.get_mut(&(host, is_anonymous)) {
            while refusals.front().is_some_and(|at| *at + WINDOW <= now) {
                refusals.pop_front();
            }
            if let Some(first) = refusals.front().filter(|_| refusals.len() >= most) {
                return Err(Denial::Later(*first + WINDOW - now));
            }
        }
        Ok(())
    }

    /// Records a valid answer to the credential's own `ls-refs`.
    pub(crate) fn accept(&self, scope: &Scope) {
        let mut tables = self.lock();
        tables.refused.remove(scope);
        if tables.accepted.len() < MOST_ACCEPTED || tables.accepted.contains_key(scope) {
            tables.accepted.insert(scope.clone(), Instant::now());
        }
    }

    /// Records that the origin has advertised its capabilities to the credential.
    pub(crate) fn greet(&self, scope: &Scope) {
        let mut tables = self.lock();
        if tables.greeted.len() < MOST_ACCEPTED {
            tables.greeted.insert(scope.clone(), Instant::now());
        }
    }

    /// Records that the origin has given the stored answer `key` to the credential itself.
    pub(crate) fn grant(&self, scope: &Scope, key: [u8; 32]) {
        let now = Instant::now();
        let mut tables = self.lock();
        if tables.granted.len() < MOST_ACCEPTED {
            let granted = tables.granted.entry(scope.clone()).or_default();
            granted.retain(|_, at| *at + ACCEPTED > now);
            granted.insert(key, now);
        }
    }

    /// Whether the origin has recently given the stored answer `key` to the credential itself.
    pub(crate) fn is_granted(&self, scope: &Scope, key: [u8; 32]) -> bool {
        let tables = self.lock();
        let at = tables.granted.get(scope).and_then(|keys| keys.get(&key));
        at.is_some_and(|at| at.elapsed() < ACCEPTED)
    }

    /// Records a refusal, which ends every acceptance.
    pub(crate) fn refuse(&self, scope: &Scope, is_anonymous: bool, refusal: Refusal) {
        let now = Instant::now();
        let mut tables = self.lock();
        tables.accepted.remove(scope);
        tables.greeted.remove(scope);
        tables.granted.remove(scope);
        tables.refused.insert(scope.clone(), (refusal, now));
        let key = (scope.origin.authority(), is_anonymous);
        tables.refusals.entry(key).or_default().push_back(now);
    }

    /// Records a pause that the host requests of this credential.
    pub(crate) fn pause(&self, scope: &Scope, wait: Duration) {
        let until = Instant::now() + wait.min(LONGEST_PAUSE);
        let key = (scope.origin.authority(), scope.identity);
        let mut tables = self.lock();
        let known = tables.pauses.entry(key).or_insert(until);
        *known = until.max(*known);
    }

    /// Records whether the host answered at all.
    pub(crate) fn record_reachable(&self, scope: &Scope, is_reachable: bool) {
        let now = Instant::now();
        let host = scope.origin.authority();
        let mut tables = self.lock();
        if is_reachable {
            tables.failing.remove(&host);
            return;
        }
        let failing = tables.failing.entry(host).or_insert(Failing {
            since: now,
            last: now,
        });
        if failing.last + AWAY_GAP < now {
            failing.since = now;
        }
        failing.last = now;
    }

    /// Whether the credential's last valid `ls-refs` is recent enough to serve it from memory.
    pub(crate) fn is_accepted(&self, scope: &Scope) -> bool {
        let tables = self.lock();
        let at = tables.accepted.get(scope);
        at.is_some_and(|at| at.elapsed() < ACCEPTED)
    }

    /// Whether the origin has recently advertised its capabilities to the credential, or accepted it.
    pub(crate) fn is_greeted(&self, scope: &Scope) -> bool {
        let tables = self.lock();
        let at = tables.greeted.get(scope);
        at.is_some_and(|at| at.elapsed() < ACCEPTED) || {
            drop(tables);
            self.is_accepted(scope)
        }
    }

    /// Whether the credential is served although its host is unreachable: the host has failed for a
    /// minute, and the credential was accepted before that, within the offline limit.
    pub(crate) fn is_accepted_offline(&self, scope: &Scope) -> bool {
        let tables = self.lock();
        let failing = tables.failing.get(&scope.origin.authority());
        let is_away = failing
            .is_some_and(|it| it.since + AWAY_AFTER <= it.last && it.last.elapsed() < AWAY_GAP);
        let at = tables.accepted.get(scope);
        is_away && at.is_some_and(|at| at.elapsed() < self.offline)
    }

    /// Whether the last request to the host has failed.
    pub(crate) fn is_failing(&self, scope: &Scope) -> bool {
        let tables = self.lock();
        let failing = tables.failing.get(&scope.origin.authority());
        failing.is_some_and(|it| it.last.elapsed() < AWAY_GAP)
    }

    /// Records what another replica knows of a host that fails here, too: it is away, and it accepted
    /// the credential at this time. A refusal takes precedence.
    pub(crate) fn accept_offline(&self, scope: &Scope, at: Instant) {
        let mut tables = self.lock();
        if tables.refused.contains_key(scope) || tables.accepted.len() >= MOST_ACCEPTED {
            return;
        }
        let Some(failing) = tables.failing.get_mut(&scope.origin.authority()) else {
            return;
        };
        if let Some(since) = failing.last.checked_sub(AWAY_AFTER) {
            failing.since = since.min(failing.since);
            tables.accepted.entry(scope.clone()).or_insert(at);
        }
    }

    /// Forgets what has expired.
    pub(crate) fn prune(&self) {
        let now = Instant::now();
        let mut tables = self.lock();
        let longest = self.offline.max(ACCEPTED);
        tables.accepted.retain(|_, at| *at + longest > now);
        tables.greeted.retain(|_, at| *at + ACCEPTED > now);
        tables
            .granted
            .retain(|_, keys| keys.values().any(|at| *at + ACCEPTED > now));
        tables.refused.retain(|_, (_, at)| *at + REFUSED > now);
        tables.pauses.retain(|_, until| *until > now);
        let is_recent = |at: &Instant| *at + WINDOW > now;
        tables
            .refusals
            .retain(|_, all| all.back().is_some_and(is_recent));
        tables.failing.retain(|_, it| it.last + AWAY_GAP > now);
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
