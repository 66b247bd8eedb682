//! The task of one hook.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::sync::watch;

use crate::error::chain;
use crate::git::Hash;
use crate::hooks::hook::Hook;
use crate::hooks::revision::Revision;
use crate::observe::logging;
use crate::observe::metrics::RepoMetrics;
use crate::redact::redact;

/// The handle of a hook's task; it holds one revision, the newest.
pub(super) struct Runner {
    newest: watch::Sender<Option<Revision>>,
    /// The published commit before the first revision; the hook counts as having run for it.
    before: Option<Option<Hash>>,
    /// The result of the first attempt; `None` once it was read.
    first: Option<oneshot::Receiver<bool>>,
}

impl Runner {
    pub(super) fn start(
        name: &'static str,
        hook: Hook,
        backoff: Duration,
        metrics: RepoMetrics,
    ) -> Self {
        let (newest, receiver) = watch::channel(None);
        let (tried, first) = oneshot::channel();
        logging::spawn(run(name, hook, backoff, metrics, receiver, tried));
        Self {
            newest,
            before: None,
            first: Some(first),
        }
    }

    pub(super) fn send(&mut self, mut revision: Revision) {
        let before = self.before.get_or_insert_with(|| revision.before.clone());
        revision.before.clone_from(before);
        self.newest.send_if_modified(|newest| {
            let is_news = newest.as_ref() != Some(&revision);
            *newest = Some(revision);
            is_news
        });
    }

    /// Waits for the first attempt, if there is one; returns whether it succeeded.
    pub(super) async fn first_attempt(&mut self) -> bool {
        if self.newest.borrow().is_none() {
            return true;
        }
        match self.first.take() {
            // A task that ends without a result has crashed.
            Some(first) => first.await.unwrap_or(false),
            None => true,
        }
    }
}

async fn run(
    name: &'static str,
    hook: Hook,
    backoff: Duration,
    metrics: RepoMetrics,
    mut newest: watch::Receiver<Option<Revision>>,
    tried: oneshot::Sender<bool>,
) {
    let mut tried = Some(tried);
    let mut last: Option<Hash> = None;
    while newest.changed().await.is_ok() {
        // It retries until it succeeds, each time with the newest revision.
        loop {
            let Some(revision) = newest.borrow_and_update().clone() else {
                break;
            };
            if last.as_ref() == Some(&revision.commit) {
                break;
            }
            let old = last.as_ref().or(revision.before.as_ref());
            let outcome = hook.tell(&revision, old).await;
            metrics.count_hook_run(name, outcome.is_ok());
            if let Some(tried) = tried.take() {
                // Only a one-time sync waits for it.
                let _ = tried.send(outcome.is_ok());
            }
            match outcome {
                Ok(()) => last = Some(revision.commit),
                Err(error) => {
                    tracing::error!(
                        logger = name,
                        error = redact(&chain(&error)),
                        hash = %revision.commit,
                        retry = ?backoff,
                        "hook failed"
                    );
                    tokio::time::sleep(backoff).await;
                }
            }
        }
    }
}
