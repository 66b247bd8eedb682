//! Code common to all list-watches of the API server.

use std::convert::Infallible;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use futures::StreamExt;
use kube::Api;
use kube::Resource;
use kube::runtime::watcher;
use kube::runtime::watcher::DefaultBackoff;
use kube::runtime::watcher::Event;
use serde::de::DeserializeOwned;

/// Page size of the first list; a whole page is in memory at a time.
const PAGE: u32 = 100;

/// Duration of one watch, in seconds; the next one continues where it ended. This bounds the time
/// until a dead connection is noticed.
const WATCH_SECONDS: u32 = 60;

/// Read timeout of the Kubernetes client: longer than a watch without events lasts.
pub const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 30);

/// Maximum pause before a kind whose CRD is not installed is tried again.
const ABSENT: Duration = Duration::from_secs(5);

/// Maximum pause between two attempts.
const LONGEST: Duration = Duration::from_secs(30);

/// The state of one list-watch. While the API server is unreachable, the last known objects stay in
/// force.
#[derive(Debug)]
pub(crate) struct Contact {
    /// The list in words, for messages: `the namespaces`.
    what: &'static str,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    is_listed: bool,
    /// Whether the kind has ever existed.
    was_there: bool,
    /// When the watch was lost; `None` while it works.
    lost: Option<Instant>,
}

impl Contact {
    pub(crate) fn new(what: &'static str) -> Self {
        let state = State {
            is_listed: false,
            was_there: false,
            lost: Some(Instant::now()),
        };
        Self {
            what,
            state: Mutex::new(state),
        }
    }

    /// Whether a complete list has been received once.
    pub(crate) fn is_listed(&self) -> bool {
        self.state().is_listed
    }

    /// Time since the watch was lost; zero while it works.
    pub(crate) fn stale(&self) -> Duration {
        let lost = self.state().lost;
        lost.map_or(Duration::ZERO, |lost| lost.elapsed())
    }

    fn found(&self) {
        *self.state() = State {
            is_listed: true,
            was_there: true,
            lost: None,
        };
    }

    /// Records that the API server does not know the kind: the list is empty then, unless the kind
    /// existed before.
    fn absent(&self) {
        let mut state = self.state();
        match state.was_there {
            true => drop(state.lost.get_or_insert_with(Instant::now)),
            false => {
                state.is_listed = true;
                state.lost = None;
            }
        }
    }

    fn lose(&self) {
        self.state().lost.get_or_insert_with(Instant::now);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is made in one step, so a panic leaves no inconsistent state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes on the events of a list-watch; never returns. The objects of a list come between an
/// `Init` and an `InitDone`, then changes follow; the list is repeated after each loss.
pub(crate) async fn watch<K>(
    api: Api<K>,
    contact: &Contact,
    mut take: impl FnMut(Event<K>),
) -> Infallible
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let what = contact.what;
    let config = watcher::Config::default()
        .page_size(PAGE)
        .timeout(WATCH_SECONDS);
    let mut backoff = DefaultBackoff::default();
    let mut trouble: Option<String> = None;
    loop {
        // List again after an error: a watch that resumes by itself does not report it, so nothing
        // would show whether it works.
        let mut events = pin!(watcher::watcher(api.clone(), config.clone()));
        let mut longest = LONGEST;
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    let is_done = matches!(event, Event::InitDone);
                    take(event);
                    if is_done {
                        contact.found();
                        backoff = DefaultBackoff::default();
                        if trouble.take().is_some() {
                            tracing::info!("{what} are watched again");
                        }
                    }
                }
                Err(error) => {
                    let is_absent = is_absent(&error);
                    match is_absent {
                        true => contact.absent(),
                        false => contact.lose(),
                    }
                    // Logged once, not at every attempt.
                    let error = error.to_string();
                    if trouble.as_ref() != Some(&error) {
                        match is_absent {
                            true => tracing::warn!(error, "{what} are not installed"),
                            false => tracing::warn!(error, "{what} cannot be watched"),
                        }
                        trouble = Some(error);
                    }
                    if is_absent {
                        longest = ABSENT;
                    }
                    break;
                }
            }
        }
        let pause = backoff.next().unwrap_or(LONGEST);
        tokio::time::sleep(pause.min(longest)).await;
    }
}

/// Whether the error means that the API server works and has no such kind.
fn is_absent(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status)) => status.code == 404,
        _ => false,
    }
}
