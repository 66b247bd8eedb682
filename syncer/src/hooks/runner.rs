//! The loop of one hook.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::sync::watch;

use crate::git::Hash;
use crate::hooks::Hook;
use crate::hooks::Revision;
use crate::logging;
use crate::metrics::RepoMetrics;
use crate::redact::redact;
use crate::sync::chain;

/// The way to a hook: it holds one revision, the newest.
pub(super) struct Runner {
    newest: watch::Sender<Option<Revision>>,
    /// What was published before the first revision; the hook is taken to know it.
    before: Option<Option<Hash>>,
    /// How the first attempt ended; none once that was asked.
    first: Option<oneshot::Receiver<bool>>,
}

impl Runner {
    pub(super) fn start(
        name: &'static str,
        hook: Hook,
        backoff: Duration,
        metrics: RepoMetrics,
    ) -> Self {
        let (newest, told) = watch::channel(None);
        let (tried, first) = oneshot::channel();
        logging::spawn(run(name, hook, backoff, metrics, told, tried));
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

    /// Waits for the end of the first attempt, if there is anything to attempt; whether it was well.
    pub(super) async fn first_attempt(&mut self) -> bool {
        if self.newest.borrow().is_none() {
            return true;
        }
        match self.first.take() {
            // A task that has gone without a word has crashed.
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
        // Again and again until it succeeds, each time with what is newest by then.
        loop {
            let Some(revision) = newest.borrow_and_update().clone() else {
                break;
            };
            if last.as_ref() == Some(&revision.commit) {
                break;
            }
            let old = last.as_ref().or(revision.before.as_ref());
            let told = hook.tell(&revision, old).await;
            metrics.count_hook_run(name, told.is_ok());
            if let Some(tried) = tried.take() {
                // Only a one-time sync waits for it.
                let _ = tried.send(told.is_ok());
            }
            match told {
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
