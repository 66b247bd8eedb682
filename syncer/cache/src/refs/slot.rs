//! One slot: the answer to one `ls-refs` of one credential.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::sync::Notify;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::access::credential::Scope;
use crate::metrics::Counted;
use crate::metrics::Metrics;
use crate::origin::error::OriginError;
use crate::refs::answer::RefsAnswer;

/// A slot.
pub(crate) struct Slot {
    pub(crate) scope: Scope,
    /// The canonical request.
    pub(crate) request: Vec<u8>,
    state: Mutex<SlotState>,
    /// Locked while the origin is asked.
    pub(crate) asking: Arc<tokio::sync::Mutex<()>>,
    /// Changes whenever waiting followers must look at the slot.
    changes: watch::Sender<()>,
    /// Ends the pause between two polls.
    pub(crate) wake: Notify,
}

#[derive(Default)]
struct SlotState {
    answer: Option<RefsAnswer>,
    last: Option<LastAsk>,
    waiting: usize,
    is_polled: bool,
    used: Option<Instant>,
}

/// The last request to the origin.
#[derive(Clone)]
pub(crate) struct LastAsk {
    pub(crate) started: Instant,
    pub(crate) result: Result<(), OriginError>,
}

impl Slot {
    pub(crate) fn new(scope: Scope, request: Vec<u8>) -> Self {
        Self {
            scope,
            request,
            state: Mutex::default(),
            asking: Arc::default(),
            changes: watch::Sender::new(()),
            wake: Notify::new(),
        }
    }

    /// The last valid answer.
    pub(crate) fn answer(&self) -> Option<RefsAnswer> {
        self.lock().answer.clone()
    }

    pub(crate) fn last(&self) -> Option<LastAsk> {
        self.lock().last.clone()
    }

    /// The result of the last request to the origin if it began at `not_before` or later.
    pub(crate) fn result_since(
        &self,
        not_before: Instant,
    ) -> Option<Result<RefsAnswer, OriginError>> {
        let state = self.lock();
        let last = state
            .last
            .as_ref()
            .filter(|last| last.started >= not_before)?;
        match &last.result {
            Err(error) => Some(Err(error.clone())),
            Ok(()) => state.answer.clone().map(Ok),
        }
    }

    /// Records a result; returns the previous answer if a valid one differs from it.
    pub(crate) fn record(
        &self,
        started: Instant,
        result: Result<RefsAnswer, OriginError>,
    ) -> Option<RefsAnswer> {
        let mut state = self.lock();
        let (result, old, is_news) = match result {
            Ok(answer) => {
                let tag = answer.body.etag.clone();
                let old = state.answer.replace(answer);
                let is_news = old.as_ref().is_none_or(|old| old.body.etag != tag);
                (Ok(()), old.filter(|_| is_news), is_news)
            }
            Err(error) => {
                let is_refusal = is_final(&error);
                if is_refusal {
                    state.answer = None;
                }
                (Err(error), None, is_refusal)
            }
        };
        state.last = Some(LastAsk { started, result });
        drop(state);
        if is_news {
            self.changes.send_replace(());
        }
        old
    }

    /// Keeps an old answer of another replica if there is none; returns the newer one. Waiting followers
    /// are not notified: they have an answer.
    pub(crate) fn learn(&self, answer: RefsAnswer) -> RefsAnswer {
        let mut state = self.lock();
        let known = state.answer.get_or_insert_with(|| answer.clone());
        match known.as_of >= answer.as_of {
            true => known.clone(),
            false => answer,
        }
    }

    /// Drops the answer, which waiting followers keep waiting on: the next request asks the origin.
    pub(crate) fn forget(&self) {
        let mut state = self.lock();
        state.answer = None;
        state.last = None;
    }

    /// Notifies waiting followers, and records that the credential was refused elsewhere.
    pub(crate) fn refuse(&self, error: OriginError) {
        self.record(Instant::now(), Err(error));
    }

    pub(crate) fn touch(&self) {
        self.lock().used = Some(Instant::now());
    }

    /// The last use by a follower; `None` while followers wait.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let state = self.lock();
        state.used.filter(|_| state.waiting == 0)
    }

    pub(crate) fn is_waited_on(&self) -> bool {
        self.lock().waiting > 0
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Counts a waiting follower; the second value is whether the caller must start to poll.
    pub(crate) fn join(self: &Arc<Self>, metrics: &Arc<Metrics>) -> (Waiting, bool) {
        let mut state = self.lock();
        state.waiting += 1;
        let must_poll = !std::mem::replace(&mut state.is_polled, true);
        let waiting = Waiting {
            slot: Arc::clone(self),
            _counted: metrics.count(|metrics| &metrics.waiting),
        };
        (waiting, must_poll)
    }

    /// Whether to go on polling: while followers wait.
    pub(crate) fn must_poll(&self) -> bool {
        let mut state = self.lock();
        state.is_polled = state.waiting > 0;
        state.is_polled
    }

    fn lock(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an error ends the wait of followers with this credential.
pub(crate) fn is_final(error: &OriginError) -> bool {
    use crate::access::registry::Denial;
    matches!(
        error,
        OriginError::Denied(Denial::Refused(_)) | OriginError::Unsupported | OriginError::Forbidden
    )
}

/// A waiting follower, until it is dropped.
pub(crate) struct Waiting {
    slot: Arc<Slot>,
    _counted: Counted,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.slot.lock().waiting -= 1;
        self.slot.touch();
    }
}
