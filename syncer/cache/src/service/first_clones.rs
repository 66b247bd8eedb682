//! First clones that followers have requested, by repository.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use args::cache::OriginAddress;
use tokio::time::Instant;

use crate::protocol::request::Fetch;

/// The different first clones of one repository that are remembered: depths and filters.
const MOST_OF_ORIGIN: usize = 4;

/// The most repositories of which first clones are remembered.
const MOST_ORIGINS: usize = 10_000;

/// How long a first clone is fetched in advance after the last follower that requested it.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// First clones by repository.
pub(crate) type FirstClones = HashMap<Arc<OriginAddress>, Vec<FirstClone>>;

/// A first clone that a follower has requested.
pub(crate) struct FirstClone {
    pub(crate) request: Fetch,
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

    /// Whether a follower has requested it recently.
    pub(crate) fn is_recent(&self) -> bool {
        self.requested.elapsed() < REMEMBERED
    }
}

/// Remembers a first clone.
pub(crate) fn remember(all: &mut FirstClones, origin: &Arc<OriginAddress>, request: &Fetch) {
    if all.len() >= MOST_ORIGINS {
        all.retain(|_, clones| clones.iter().any(FirstClone::is_recent));
        if all.len() >= MOST_ORIGINS {
            return;
        }
    }
    let clones = all.entry(Arc::clone(origin)).or_default();
    clones.retain(|it| it.is_recent() && !it.is_like(request));
    if clones.len() < MOST_OF_ORIGIN {
        clones.push(FirstClone {
            request: request.clone(),
            requested: Instant::now(),
        });
    }
}
