//! The flights that are under way.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::access::credential::Follower;
use crate::access::credential::Identity;
use crate::packs::flight::Flight;
use crate::packs::flight::Hangar;
use crate::packs::flight::SourceOrder;
use crate::protocol::request::Fetch;
use crate::store::key::Key;

/// The most flights; further followers get 503.
const MOST_FLIGHTS: usize = 512;

/// Who may join a flight.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Audience {
    /// Credentials whose own `ls-refs` has advertised every wanted object.
    Shared,
    /// One credential, for which the origin decides.
    Own(Identity),
}

/// The table.
pub(crate) struct Flights {
    hangar: Hangar,
    under_way: Arc<Mutex<UnderWay>>,
}

type UnderWay = HashMap<(Key, Audience), Arc<Flight>>;

impl Flights {
    pub(crate) fn new(hangar: Hangar) -> Self {
        Self {
            hangar,
            under_way: Arc::default(),
        }
    }

    /// The flight of a request that is under way.
    pub(crate) fn under_way(&self, key: Key, audience: Audience) -> Option<Arc<Flight>> {
        lock(&self.under_way).get(&(key, audience)).cloned()
    }

    /// Joins the flight of a request, or starts one; `None` if there are too many. The second value
    /// is whether it was started.
    pub(crate) fn join(
        &self,
        follower: &Follower,
        request: &Fetch,
        key: Key,
        audience: Audience,
        order: SourceOrder,
    ) -> Option<(Arc<Flight>, bool)> {
        let mut under_way = lock(&self.under_way);
        if let Some(flight) = under_way.get(&(key, audience)) {
            return Some((Arc::clone(flight), false));
        }
        if under_way.len() >= MOST_FLIGHTS {
            return None;
        }
        let all = Arc::clone(&self.under_way);
        let on_end = move || drop(lock(&all).remove(&(key, audience)));
        let follower = follower.clone();
        let (hangar, request) = (self.hangar.clone(), request.clone());
        let flight = Flight::start(hangar, follower, request, key, order, on_end);
        let flight = Arc::new(flight);
        under_way.insert((key, audience), Arc::clone(&flight));
        Some((flight, true))
    }
}

fn lock(under_way: &Mutex<UnderWay>) -> MutexGuard<'_, UnderWay> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}
