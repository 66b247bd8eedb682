//! All slots: which request asks the origin, when, and what the cache does after a change.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use args::cache::OriginAddress;
use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::OwnedMutexGuard;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio::time::sleep_until;

use crate::access::credential::Follower;
use crate::access::credential::Identity;
use crate::access::credential::Scope;
use crate::access::registry::Denial;
use crate::metrics::Metrics;
use crate::origin::client::Upstream;
use crate::origin::error::OriginError;
use crate::protocol::refs_answer;
use crate::refs::answer::RefsAnswer;
use crate::refs::answer::RefsBody;
use crate::refs::slot::Slot;
use crate::refs::slot::Waiting;

/// The least time between two requests to the origin for one slot.
pub(crate) const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// The most slots of all credentials.
const MOST_SLOTS: usize = 50_000;

/// The most slots of one credential and repository.
const MOST_OF_SCOPE: usize = 64;

/// The most slots of one credential that are asked for at once.
const MOST_REFRESHED: usize = 4;

/// The most bytes of answers in memory; followers of further answers get 503.
const MOST_BYTES: usize = 512 << 20;

/// A slot that was not used for this time may be dropped to make room.
const IDLE: Duration = Duration::from_secs(60);

/// A change of refs, for the prefetch.
pub(crate) struct RefsChange {
    pub(crate) follower: Follower,
    pub(crate) old: Bytes,
    pub(crate) new: Bytes,
}

/// There are too many slots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooManySlots;

type SlotKey = (Identity, Vec<u8>);

/// The table.
pub(crate) struct RefsTable {
    upstream: Arc<Upstream>,
    metrics: Arc<Metrics>,
    period: Duration,
    slots: Mutex<Slots>,
    bytes: Arc<AtomicUsize>,
    changes: mpsc::Sender<RefsChange>,
}

#[derive(Default)]
struct Slots {
    by_origin: HashMap<Arc<OriginAddress>, HashMap<SlotKey, Arc<Slot>>>,
    count: usize,
}

impl RefsTable {
    pub(crate) fn new(
        upstream: Arc<Upstream>,
        metrics: Arc<Metrics>,
        period: Duration,
        changes: mpsc::Sender<RefsChange>,
    ) -> Self {
        Self {
            upstream,
            metrics,
            period,
            slots: Mutex::default(),
            bytes: Arc::default(),
            changes,
        }
    }

    /// The slot of a request; it is created if needed.
    pub(crate) fn slot(&self, scope: &Scope, request: Vec<u8>) -> Result<Arc<Slot>, TooManySlots> {
        let mut slots = self.lock();
        let key = (scope.identity, request);
        let of_origin = slots.by_origin.get(&scope.origin);
        if let Some(slot) = of_origin.and_then(|all| all.get(&key)) {
            slot.touch();
            return Ok(Arc::clone(slot));
        }
        if slots.count >= MOST_SLOTS {
            slots.retain(is_in_use);
            if slots.count >= MOST_SLOTS {
                return Err(TooManySlots);
            }
        }
        let all = slots
            .by_origin
            .entry(Arc::clone(&scope.origin))
            .or_default();
        let of_scope = all.values().filter(|slot| slot.scope == *scope);
        let mut dropped = 0;
        if of_scope.clone().count() >= MOST_OF_SCOPE {
            let oldest = of_scope.filter_map(|slot| Some((slot.idle_since()?, slot)));
            let oldest = oldest.min_by_key(|(since, _)| *since).map(|(_, slot)| slot);
            let oldest = oldest.map(|slot| (slot.scope.identity, slot.request.clone()));
            all.remove(&oldest.ok_or(TooManySlots)?);
            dropped = 1;
        }
        let slot = Arc::new(Slot::new(scope.clone(), key.1.clone()));
        slot.touch();
        all.insert(key, Arc::clone(&slot));
        slots.count = slots.count + 1 - dropped;
        Ok(slot)
    }

    /// The slot of a request that followers have sent.
    pub(crate) fn known(&self, scope: &Scope, request: Vec<u8>) -> Option<Arc<Slot>> {
        let slots = self.lock();
        let of_origin = slots.by_origin.get(&scope.origin)?;
        of_origin.get(&(scope.identity, request)).cloned()
    }

    /// Whether the credential's own answers of the last `max_age` advertise all of these objects.
    pub(crate) fn advertises(
        &self,
        scope: &Scope,
        objects: &BTreeSet<String>,
        max_age: Duration,
    ) -> bool {
        let answers = self.of_scope(scope).into_iter();
        let answers = answers.filter_map(|slot| slot.answer());
        let answers: Vec<_> = answers.filter(|it| it.at.elapsed() < max_age).collect();
        objects.iter().all(|object| {
            let mut answers = answers.iter();
            answers.any(|answer| refs_answer::advertises(&answer.body.bytes, object))
        })
    }

    /// A slot of the credential whose last answer, of whatever age, advertises all of these objects.
    pub(crate) fn advertising(
        &self,
        scope: &Scope,
        objects: &BTreeSet<String>,
    ) -> Option<Arc<Slot>> {
        self.of_scope(scope).into_iter().find(|slot| {
            slot.answer().is_some_and(|answer| {
                let mut objects = objects.iter();
                objects.all(|object| refs_answer::advertises(&answer.body.bytes, object))
            })
        })
    }

    fn of_scope(&self, scope: &Scope) -> Vec<Arc<Slot>> {
        let slots = self.lock();
        let all = slots.by_origin.get(&scope.origin).into_iter();
        let all = all.flat_map(HashMap::values);
        all.filter(|slot| slot.scope == *scope).cloned().collect()
    }

    fn of_origin(&self, origin: &OriginAddress) -> Vec<Arc<Slot>> {
        let slots = self.lock();
        let all = slots.by_origin.get(origin).into_iter();
        all.flat_map(HashMap::values).cloned().collect()
    }

    /// The repositories that followers have requested.
    pub(crate) fn origins(&self) -> Vec<Arc<OriginAddress>> {
        self.lock().by_origin.keys().cloned().collect()
    }

    /// The origin's answer to a request that is sent at `not_before` or later. Concurrent calls share
    /// one request, and two requests of a slot are [`LEAST_PAUSE`] apart. The request goes on when
    /// the caller is dropped.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        follower: &Follower,
        not_before: Instant,
    ) -> Result<RefsAnswer, OriginError> {
        if let Some(result) = slot.result_since(not_before) {
            self.metrics.hits.add(1);
            return result;
        }
        let guard = Arc::clone(&slot.asking).lock_owned().await;
        if let Some(result) = slot.result_since(not_before) {
            self.metrics.hits.add(1);
            return result;
        }
        let asking = self
            .clone()
            .ask_origin(guard, slot.clone(), follower.clone());
        let asked = tokio::spawn(asking).await;
        asked.unwrap_or_else(|error| Err(OriginError::Away(error.to_string())))
    }

    /// Asks the origin for the refs that followers with this credential use, as [`Self::ask`] does.
    pub(crate) async fn refresh(self: &Arc<Self>, follower: &Follower, not_before: Instant) {
        let slots = self.of_scope(&follower.scope).into_iter();
        for slot in slots.filter(|slot| is_in_use(slot)).take(MOST_REFRESHED) {
            // The result is in the slot.
            let _ = self.ask(&slot, follower, not_before).await;
        }
    }

    /// Keeps an answer that the origin gave to another replica, if this one has none, and returns the
    /// newer one; `None` if there are too many bytes in memory.
    pub(crate) fn learn(
        &self,
        slot: &Slot,
        bytes: Bytes,
        as_of: Timestamp,
        at: Instant,
    ) -> Option<RefsAnswer> {
        let body = self.shared(slot, bytes).ok()?;
        Some(slot.learn(RefsAnswer::new(body, as_of, at)))
    }

    async fn ask_origin(
        self: Arc<Self>,
        _asking: OwnedMutexGuard<()>,
        slot: Arc<Slot>,
        follower: Follower,
    ) -> Result<RefsAnswer, OriginError> {
        if let Some(last) = slot.last() {
            sleep_until(last.started + LEAST_PAUSE).await;
        }
        let (started, as_of) = (Instant::now(), Timestamp::now());
        let asked = self.upstream.ls_refs(&follower, slot.request.clone()).await;
        let result = asked.and_then(|bytes| {
            let body = self.shared(&slot, bytes)?;
            Ok(RefsAnswer::new(body, as_of, started))
        });
        let old = slot.record(started, result.clone());
        match &result {
            Ok(answer) => {
                if let Some(old) = old {
                    self.changed(&slot, &follower, started, [&old, answer]);
                }
            }
            Err(error @ OriginError::Denied(Denial::Refused(_))) => {
                self.drop_scope(&slot.scope, error);
            }
            Err(_) => {}
        }
        result
    }

    /// The body of an answer, shared with another slot of the repository with the same content. Fails
    /// if there are too many bytes in memory.
    fn shared(&self, slot: &Slot, bytes: Bytes) -> Result<Arc<RefsBody>, OriginError> {
        let mut slots = self.lock();
        let others = slots.by_origin.get(&slot.scope.origin).into_iter();
        let others = others.flat_map(HashMap::values);
        let mut bodies = others.filter_map(|other| Some(other.answer()?.body));
        if let Some(same) = bodies.find(|body| body.bytes == bytes) {
            return Ok(same);
        }
        if self.bytes.load(Ordering::Relaxed) + bytes.len() > MOST_BYTES {
            slots.retain(is_in_use);
            if self.bytes.load(Ordering::Relaxed) + bytes.len() > MOST_BYTES {
                return Err(OriginError::Denied(Denial::Later(IDLE)));
            }
        }
        Ok(Arc::new(RefsBody::new(bytes, &self.bytes)))
    }

    /// A change under one key is a change of the repository: slots with older answers ask again.
    fn changed(
        &self,
        slot: &Slot,
        follower: &Follower,
        started: Instant,
        [old, new]: [&RefsAnswer; 2],
    ) {
        tracing::info!(v = 1, origin = %slot.scope.origin, "the refs changed");
        for other in self.of_origin(&slot.scope.origin) {
            let is_older = other.last().is_some_and(|last| last.started < started);
            if !is_older {
                continue;
            }
            if other.is_waited_on() {
                other.wake.notify_one();
            } else {
                other.forget();
            }
        }
        // A full queue only means that the first follower fetches the new commit itself.
        let _ = self.changes.try_send(RefsChange {
            follower: follower.clone(),
            old: old.body.bytes.clone(),
            new: new.body.bytes.clone(),
        });
    }

    /// Drops everything that a refused credential has received, and ends its waits.
    pub(crate) fn drop_scope(&self, scope: &Scope, error: &OriginError) {
        for slot in self.of_scope(scope) {
            slot.refuse(error.clone());
        }
    }

    /// Lets a follower wait, and polls the origin as long as at least one does.
    pub(crate) fn wait(self: &Arc<Self>, slot: &Arc<Slot>, follower: &Follower) -> Waiting {
        let (waiting, must_poll) = slot.join(&self.metrics);
        if must_poll {
            let polling = self.clone().poll(slot.clone(), follower.clone());
            tokio::spawn(polling);
        }
        waiting
    }

    async fn poll(self: Arc<Self>, slot: Arc<Slot>, follower: Follower) {
        while slot.must_poll() {
            let last = slot.last().map(|last| last.started);
            let next = last.map_or_else(Instant::now, |last| last + self.period.mul_f64(jitter()));
            tokio::select! {
                () = sleep_until(next) => {}
                () = slot.wake.notified() => {}
            }
            if slot.must_poll() {
                // The result is in the slot.
                let _ = self.ask(&slot, &follower, Instant::now()).await;
            }
        }
    }

    /// Asks the origin about a repository with waiting followers: once per different request. A slot
    /// without one is asked for when its next follower waits: it may be between two waits now.
    pub(crate) fn wake(&self, origin: &OriginAddress) {
        let mut woken = HashSet::new();
        for slot in self.of_origin(origin) {
            if !slot.is_waited_on() || woken.insert(slot.request.clone()) {
                slot.wake.notify_one();
            }
        }
    }

    /// Drops slots that no follower has used for this time.
    pub(crate) fn prune(&self, idle: Duration) {
        let mut slots = self.lock();
        slots.retain(|slot| slot.idle_since().is_none_or(|it| it.elapsed() < idle));
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    fn retain(&mut self, is_kept: impl Fn(&Slot) -> bool) {
        for all in self.by_origin.values_mut() {
            all.retain(|_, slot| is_kept(slot));
        }
        self.by_origin.retain(|_, all| !all.is_empty());
        self.count = self.by_origin.values().map(HashMap::len).sum();
    }
}

/// Whether followers wait on a slot, or have used it a moment ago.
fn is_in_use(slot: &Slot) -> bool {
    slot.idle_since().is_none_or(|it| it.elapsed() < IDLE)
}

/// ±10 %, so that repositories are not polled at the same time.
fn jitter() -> f64 {
    0.9 + fastrand::f64() * 0.2
}
