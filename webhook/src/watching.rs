//! One list of the API server's, watched for ever: what is common to all that we watch.

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

/// Objects in one answer of the first list: a page is in memory as a whole.
const PAGE: u32 = 100;

/// How long one watch lasts before the next one begins where it ended. A connection that died
/// without a word is noticed by then.
const WATCH_SECONDS: u32 = 60;

/// How long the API server may say nothing: longer than a quiet watch does.
pub const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 30);

/// The longest pause before a kind that is not installed is looked for again.
const ABSENT: Duration = Duration::from_secs(5);

/// The longest pause between two attempts.
const LONGEST: Duration = Duration::from_secs(30);

/// How we stand with a list. Losing the API server changes what is known in nothing: what was last
/// known counts.
#[derive(Debug)]
pub(crate) struct Contact {
    /// What is listed, as a sentence has it: `the namespaces`.
    what: &'static str,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    is_listed: bool,
    /// Whether the kind was there, ever.
    was_there: bool,
    /// Since when nobody has told of changes.
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

    /// Whether all of them were known once.
    pub(crate) fn is_listed(&self) -> bool {
        self.state().is_listed
    }

    /// How long changes have not been heard of.
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

    /// The API server does not know the kind: then there are none of it, unless there were.
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
        // Each change is whole, so a panic between two leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands on what happens to a list's objects, for ever: first each of them between an `Init` and an
/// `InitDone`, then changes; all of it again after each loss.
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
        // After an error all are listed anew: a watch that goes on by itself does not say so, and
        // then nobody would know whether it does.
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
                    // Once, and not at every attempt.
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

/// Whether an API server that works has no such kind.
fn is_absent(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status)) => status.code == 404,
        _ => false,
    }
}
