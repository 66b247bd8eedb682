//! First clones of a new commit, fetched before the first new follower requests one.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use args::cache::OriginAddress;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::access::credential::Follower;
use crate::packs::flights::Audience;
use crate::protocol::refs_answer;
use crate::protocol::request::Fetch;
use crate::refs::table::RefsChange;
use crate::service::gate::Service;
use crate::service::gate::lock;
use crate::store::key::Key;

/// The different first clones of one repository that are remembered: depths and filters.
const MOST_OF_ORIGIN: usize = 4;

/// The most repositories of which first clones are remembered.
const MOST_ORIGINS: usize = 10_000;

/// How long a first clone is fetched in advance after the last follower that requested it.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// The most commits that are fetched in advance after a change, if several refs named the old one.
const MOST_TARGETS: usize = 4;

/// First clones by repository.
pub(crate) type FirstClones = HashMap<Arc<OriginAddress>, Vec<FirstClone>>;

/// A first clone that a follower has requested.
pub(crate) struct FirstClone {
    request: Fetch,
    requested: Instant,
}

impl FirstClone {
    /// Whether two first clones differ at most in their commits.
    fn is_like(&self, other: &Fetch) -> bool {
        let without = |request: &Fetch| Fetch {
            wants: BTreeSet::new(),
            ..request.clone()
        };
        without(&self.request) == without(other)
    }
}

impl Service {
    /// Remembers a first clone of an advertised commit.
    pub(crate) fn remember_first_clone(&self, follower: &Follower, request: &Fetch) {
        if request.first_clone().is_none() {
            return;
        }
        let mut all = lock(&self.tables.first_clones);
        if all.len() >= MOST_ORIGINS {
            all.retain(|_, clones| clones.iter().any(|it| it.requested.elapsed() < REMEMBERED));
            if all.len() >= MOST_ORIGINS {
                return;
            }
        }
        let clones = all.entry(Arc::clone(&follower.scope.origin)).or_default();
        clones.retain(|it| it.requested.elapsed() < REMEMBERED && !it.is_like(request));
        if clones.len() < MOST_OF_ORIGIN {
            clones.push(FirstClone {
                request: request.clone(),
                requested: Instant::now(),
            });
        }
    }

    /// Fetches first clones in advance, for as long as there are changes.
    pub(crate) async fn prefetch(self: Arc<Self>, mut changes: mpsc::Receiver<RefsChange>) {
        while let Some(change) = changes.recv().await {
            self.prefetch_after(&change);
        }
    }

    fn prefetch_after(&self, change: &RefsChange) {
        let origin = &change.follower.scope.origin;
        let mut requests = Vec::new();
        if let Some(clones) = lock(&self.tables.first_clones).get_mut(origin) {
            clones.retain(|it| it.requested.elapsed() < REMEMBERED);
            for clone in clones {
                let targets = targets(&clone.request, change);
                for target in &targets {
                    let mut request = clone.request.clone();
                    request.wants = BTreeSet::from([target.clone()]);
                    requests.push(request);
                }
                // The next change is looked up by the new commit.
                if let Some(target) = targets.into_iter().next() {
                    clone.request.wants = BTreeSet::from([target]);
                }
            }
        }
        for request in requests {
            let key = Key::new(origin, &request.to_body());
            let follower = &change.follower;
            if self.store.can_store(key)
                && let Some((_, true)) =
                    self.flights.join(follower, &request, key, Audience::Shared)
            {
                self.metrics.prefetches.add(1);
            }
        }
    }
}

/// The new objects of the refs that named the wanted one.
fn targets(request: &Fetch, change: &RefsChange) -> BTreeSet<String> {
    let Some(wanted) = request.first_clone() else {
        return BTreeSet::new();
    };
    let old = refs_answer::refs(&change.old);
    let named: BTreeSet<&str> = old
        .filter(|(object, _)| *object == wanted)
        .map(|(_, name)| name)
        .collect();
    let new = refs_answer::refs(&change.new);
    new.filter(|(object, name)| named.contains(name) && *object != wanted)
        .map(|(object, _)| object.to_owned())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .take(MOST_TARGETS)
        .collect()
}
