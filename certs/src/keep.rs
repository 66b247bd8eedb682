use std::convert::Infallible;
use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use futures::future::Either;
use futures::future::select;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::Bundle;
use crate::BundleError;
use crate::Cluster;
use crate::FilesError;
use crate::IssueError;
use crate::LEAF_LIFETIME;
use crate::Leaf;
use crate::Lifetimes;
use crate::Names;
use crate::PublishError;
use crate::Published;
use crate::Serving;
use crate::SharedSecret;
use crate::files::Directory;
use crate::publish::published;
use crate::rotation;
use crate::rotation::Facts;
use crate::rotation::Step;
use crate::rotation::state::State;

/// Interval of checking the leaf's age by the wall clock: a timer of several days would be wrong
/// after a suspended machine resumes.
const RENEWAL_CHECK: Duration = Duration::from_secs(60);

/// Maximum interval between two reads of the Secret and the webhook configuration. Watches report
/// most changes at once; the timer covers a watch whose connection died unnoticed. A wiped caBundle
/// is repaired within this time and two calls.
const CLUSTER_CHECK: Duration = Duration::from_secs(5);

/// Minimum pause between two passes, however many changes the watches report.
const PAUSE: Duration = Duration::from_millis(100);

/// Polling interval of certificate files. The kubelet itself takes a minute to update them.
pub const FILES_CHECK: Duration = Duration::from_secs(10);

/// Maximum number of changes or conflicts in one pass; the next pass continues.
pub(crate) const ROUNDS: usize = 8;

/// The annotation of the Secret that requests a new CA, with any value; it is removed when the
/// rotation begins.
const ROTATE: &str = "gitvolume.dev/rotate-ca";

#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error(transparent)]
    Publish(#[from] PublishError),
}

/// Serves a leaf of this CA at once; returns the task that renews it and never ends.
pub fn keep_in_memory(
    serving: Arc<Serving>,
    bundle: Bundle,
    names: Names,
) -> Result<impl Future<Output = Infallible> + Send + 'static, IssueError> {
    serving.set_published(Published::NotNeeded);
    serving.set_leaf(Leaf::issue(&bundle, &names, SystemTime::now())?);
    Ok(async move {
        let mut log = Log::default();
        let mut ticks = tokio::time::interval(RENEWAL_CHECK);
        loop {
            ticks.tick().await;
            let now = SystemTime::now();
            let renewed = renew(&serving, &bundle, &names, LEAF_LIFETIME, now);
            log.note(&serving, renewed);
        }
    })
}

/// Serves the certificate of a directory and compares its files at the interval `often`; never
/// returns. Another tool keeps the caBundle current.
pub async fn keep_files(
    serving: Arc<Serving>,
    directory: Directory,
    often: Duration,
) -> Infallible {
    serving.set_published(Published::NotNeeded);
    let mut log = Log::default();
    let mut directory = directory;
    loop {
        let outcome = match directory.reload(SystemTime::now()) {
            Ok(Some(leaf)) => {
                let not_after = crate::serving::day(leaf.not_after());
                tracing::info!(not_after, "serving a new certificate");
                serving.set_leaf(leaf);
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error.into()),
        };
        log.note(&serving, outcome);
        tokio::time::sleep(often).await;
    }
}

/// Keeps the cluster's CA, a leaf that it signs, and the caBundle current; never returns.
pub async fn keep_in_cluster(
    serving: Arc<Serving>,
    cluster: Cluster,
    names: Names,
    lifetimes: Lifetimes,
) -> Infallible {
    let changed = Notify::new();
    let watching = cluster.watch(&changed);
    let mut rotator = Rotator {
        serving: &serving,
        cluster: &cluster,
        names: &names,
        lifetimes,
        clock: &SystemTime::now,
        known: None,
    };
    let keeping = async {
        let mut log = Log::default();
        loop {
            let outcome = rotator.reconcile().await;
            // While the API server is unreachable, the last known CA still renews the leaf.
            let renewed = rotator.renew();
            log.note(&serving, outcome.and(renewed));
            tokio::time::sleep(PAUSE).await;
            // Continue on a timeout as on a change.
            let _ = timeout(rotator.idle_time(), changed.notified()).await;
        }
    };
    match select(pin!(watching), pin!(keeping)).await {
        Either::Left((never, _)) | Either::Right((never, _)) => never,
    }
}

/// Whether a round of a pass, which tells whether it made a change, is the last one. After a conflict
/// with another replica the pass goes on.
pub(crate) fn is_settled(made_change: Result<bool, KeepError>) -> Result<bool, KeepError> {
    match made_change {
        Ok(made_change) => Ok(!made_change),
        Err(KeepError::Publish(error)) if error.is_conflict() => Ok(false),
        Err(error) => Err(error),
    }
}

/// The certificate rotation, as one replica runs it.
struct Rotator<'a> {
    serving: &'a Serving,
    cluster: &'a Cluster,
    names: &'a Names,
    lifetimes: Lifetimes,
    /// The wall clock.
    clock: &'a (dyn Fn() -> SystemTime + Sync),
    /// The content of the Secret when it was last read.
    known: Option<State>,
}

impl Rotator<'_> {
    /// One pass: makes all changes that the Secret, the leaf and the caBundle need now.
    async fn reconcile(&mut self) -> Result<(), KeepError> {
        for _ in 0..ROUNDS {
            if is_settled(self.reconcile_once().await)? {
                break;
            }
        }
        Ok(())
    }

    /// Makes at most one change in the cluster; returns whether it made one.
    async fn reconcile_once(&mut self) -> Result<bool, KeepError> {
        // The configuration is read first: see `write_ca_bundle`.
        let configuration = self.cluster.configuration().await;
        let published = configuration.as_ref().map_or(Published::Unknown, published);
        let facts = CaFacts {
            memory: self.known.as_ref(),
            published: &published,
            lifetimes: self.lifetimes,
            clock: self.clock,
        };
        let (state, step) = rotate(self.cluster.secret(), &facts).await?;
        let pem = state.pem();
        self.known = Some(state);
        // The leaf does not wait for the caBundle, which may already contain the CA.
        if configuration.is_ok() {
            self.serving.set_published(published);
        }
        let renewed = match self.serving.leaf() {
            None => self.renew(),
            Some(_) => Ok(()),
        };
        if step.is_some() {
            return Ok(true);
        }
        let configuration = configuration?;
        let is_written = self.cluster.write_ca_bundle(&configuration, &pem).await?;
        // A CA that has ended signs nothing, and must not keep the next one from the caBundle.
        renewed?;
        Ok(is_written)
    }

    fn renew(&self) -> Result<(), KeepError> {
        let Some(known) = &self.known else {
            return Ok(());
        };
        let leaf = self.lifetimes.leaf;
        let now = (self.clock)();
        renew(self.serving, &known.signer, self.names, leaf, now)
    }

    /// The time until the next pass, if nothing changes.
    fn idle_time(&self) -> Duration {
        let now = (self.clock)();
        let leaf = self.serving.leaf().map(|leaf| leaf.due());
        let state = self.known.as_ref();
        let state = state.map(|state| state.deadline(&self.lifetimes));
        let next = leaf.into_iter().chain(state).min();
        let until = next.map_or(CLUSTER_CHECK, |next| {
            next.duration_since(now).unwrap_or_default()
        });
        // An overdue step waits for something else, such as a reachable API server.
        match until.is_zero() {
            true => CLUSTER_CHECK.min(self.lifetimes.propagation).max(PAUSE),
            false => until.min(CLUSTER_CHECK),
        }
    }
}

/// What decides about the next change of a CA, apart from its Secret.
pub(crate) struct CaFacts<'a> {
    /// The content of the Secret when it was last read.
    pub(crate) memory: Option<&'a State>,
    /// The caBundle.
    pub(crate) published: &'a Published,
    /// The lifetimes of new certificates.
    pub(crate) lifetimes: Lifetimes,
    /// The wall clock.
    pub(crate) clock: &'a (dyn Fn() -> SystemTime + Sync),
}

/// Reads the Secret of a CA and makes the change that is due, if any.
pub(crate) async fn rotate(
    store: &SharedSecret,
    facts: &CaFacts<'_>,
) -> Result<(State, Option<Step>), PublishError> {
    let mut secret = store.read().await?;
    let is_asked = secret.metadata.annotations.as_ref();
    let is_asked = is_asked.is_some_and(|annotations| annotations.contains_key(ROTATE));
    let facts = Facts {
        memory: facts.memory,
        is_asked,
        published: facts.published,
        lifetimes: facts.lifetimes,
        // Taken after all reads, so that what they returned was true before `now`.
        now: (facts.clock)(),
    };
    let next = rotation::next(State::read(secret.data.as_ref()), &facts);
    let (state, step) = next.map_err(|source| {
        let name = store.name().to_owned();
        match source {
            BundleError::Generate(_) => PublishError::Generate { name, source },
            source => PublishError::Content { name, source },
        }
    })?;
    if let Some(step) = step {
        state.write(secret.data.get_or_insert_default());
        if let Some(annotations) = &mut secret.metadata.annotations {
            annotations.remove(ROTATE);
        }
        store.write(&secret).await?;
        tracing::info!(secret = store.name(), "{}", step.as_str());
    }
    Ok((state, step))
}

/// Issues the next leaf if it is due, or if the CA has changed and callers trust the new one.
fn renew(
    serving: &Serving,
    bundle: &Bundle,
    names: &Names,
    lifetime: Duration,
    now: SystemTime,
) -> Result<(), KeepError> {
    let due = match serving.leaf() {
        None => true,
        Some(leaf) if leaf.signer() != bundle.signer() => {
            serving.trusts(bundle.signer()) || !serving.trusts(leaf.signer()) || !leaf.is_valid(now)
        }
        Some(leaf) => leaf.is_due(now),
    };
    if due {
        let leaf = Leaf::issue_for(bundle, names, now, lifetime)?;
        tracing::info!("serving a new certificate");
        serving.set_leaf(leaf);
    }
    Ok(())
}

/// Logs an error once when it begins and once when it is over, instead of every few seconds.
#[derive(Default)]
pub(crate) struct Log {
    trouble: Option<String>,
}

impl Log {
    fn note(&mut self, serving: &Serving, outcome: Result<(), KeepError>) {
        let Some(trouble) = self.change(outcome) else {
            return;
        };
        match &trouble {
            Some(error) => tracing::warn!(%error, "cannot renew the certificates"),
            None => tracing::info!("the certificates are renewed again"),
        }
        serving.set_trouble(trouble);
    }

    /// The error of this pass, or that it is over; `None` if the last pass had the same outcome.
    pub(crate) fn change(&mut self, outcome: Result<(), KeepError>) -> Option<Option<String>> {
        let trouble = outcome.err().map(|error| chain(&error));
        (trouble != self.trouble).then(|| {
            self.trouble.clone_from(&trouble);
            trouble
        })
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        // kube's errors already end with the message of their cause.
        if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
