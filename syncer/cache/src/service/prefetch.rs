//! First clones of a new commit, fetched before the first new follower requests one.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::access::credential::Follower;
use crate::packs::flight::SourceOrder;
use crate::packs::flights::Audience;
use crate::protocol::refs_answer;
use crate::protocol::request::Fetch;
use crate::refs::table::RefsChange;
use crate::service::first_clones;
use crate::service::first_clones::FirstClone;
use crate::service::gate::Service;
use crate::service::gate::lock;
use crate::store::key::Key;

/// The most commits that are fetched in advance after a change, if several refs named the old one.
const MOST_TARGETS: usize = 4;

impl Service {
    /// Remembers a first clone of an advertised commit.
    pub(crate) fn remember_first_clone(&self, follower: &Follower, request: &Fetch) {
        if request.first_clone().is_some() {
            let mut all = lock(&self.tables.first_clones);
            first_clones::remember(&mut all, &follower.scope.origin, request);
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
            clones.retain(FirstClone::is_recent);
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
                && let Some((_, true)) = self.flights.join(
                    follower,
                    &request,
                    key,
                    Audience::Shared,
                    SourceOrder::PeersFirst,
                )
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
