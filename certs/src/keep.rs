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
use crate::files::Directory;
use crate::publish::published;
use crate::rotation;
use crate::rotation::Facts;
use crate::rotation::State;

/// How often the leaf's age is judged, by the wall clock: a timer set for days would be wrong
/// after a suspended machine wakes up.
const RENEWAL_CHECK: Duration = Duration::from_secs(60);

/// How often the Secret and the webhook configuration are read at least. Their watches tell of most
/// changes at once; a watch that is cut and does not know it is why there is a timer. A caBundle that
/// was wiped is repaired within this time and two calls.
const CLUSTER_CHECK: Duration = Duration::from_secs(5);

/// From one look to the next at least, whatever the watches tell.
const PAUSE: Duration = Duration::from_millis(100);

/// How often files are compared. The kubelet itself takes a minute to bring new ones.
pub const FILES_CHECK: Duration = Duration::from_secs(10);

/// How many changes one look makes or runs into before the next one goes on.
const ROUNDS: usize = 8;

/// Whoever annotates the Secret with this, with any value, gets another CA; it is taken away when
/// the rotation begins.
const ROTATE: &str = "gitvolume.dev/rotate-ca";

#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error(transparent)]
    Publish(#[from] PublishError),
}

/// Serves a leaf of this CA at once, and returns the task that renews it for ever.
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

/// Serves the certificate of a directory, compared with what is there for ever, this often. What
/// callers trust is somebody else's to keep.
pub async fn keep_files(
    serving: Arc<Serving>,
    directory: Directory,
    often: Duration,
) -> Infallible {
    serving.set_published(Published::NotNeeded);
    let mut log = Log::default();
    let mut directory = directory;
    loop {
        let outcome = match directory.look(SystemTime::now()) {
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

/// Keeps the CA of the cluster, a leaf signed by it, and our caBundle current, for ever.
pub async fn keep_in_cluster(
    serving: Arc<Serving>,
    cluster: Cluster,
    names: Names,
    lifetimes: Lifetimes,
) -> Infallible {
    let changed = Notify::new();
    let watching = cluster.watch(&changed);
    let mut keeper = Keeper {
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
            let outcome = keeper.look().await;
            // Without the API server the CA we know still renews our leaf.
            let renewed = keeper.renew();
            log.note(&serving, outcome.and(renewed));
            tokio::time::sleep(PAUSE).await;
            // Whether it is time or something changed does not matter.
            let _ = timeout(keeper.rest(), changed.notified()).await;
        }
    };
    match select(pin!(watching), pin!(keeping)).await {
        Either::Left((never, _)) | Either::Right((never, _)) => never,
    }
}

/// One replica's part in keeping the cluster's certificates.
struct Keeper<'a> {
    serving: &'a Serving,
    cluster: &'a Cluster,
    names: &'a Names,
    lifetimes: Lifetimes,
    /// The wall clock.
    clock: &'a (dyn Fn() -> SystemTime + Sync),
    /// What the Secret held when it was last read.
    known: Option<State>,
}

impl Keeper<'_> {
    /// Brings Secret, leaf and caBundle to where they belong now.
    async fn look(&mut self) -> Result<(), KeepError> {
        for _ in 0..ROUNDS {
            match self.round().await {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(KeepError::Publish(error)) if error.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes at most one change in the cluster; tells whether it did.
    async fn round(&mut self) -> Result<bool, KeepError> {
        // The configuration first: see `write_ca_bundle`.
        let configuration = self.cluster.configuration().await;
        let published = configuration.as_ref().map_or(Published::Unknown, published);
        let mut secret = self.cluster.secret().await?;
        let is_asked = secret.metadata.annotations.as_ref();
        let is_asked = is_asked.is_some_and(|annotations| annotations.contains_key(ROTATE));
        let facts = Facts {
            memory: self.known.as_ref(),
            is_asked,
            published: &published,
            lifetimes: self.lifetimes,
            // After the reading: what was read was so before now.
            now: (self.clock)(),
        };
        let next = rotation::next(State::read(secret.data.as_ref()), &facts);
        let (state, step) = next.map_err(|error| self.unusable(error))?;
        if let Some(step) = step {
            state.write(secret.data.get_or_insert_default());
            if let Some(annotations) = &mut secret.metadata.annotations {
                annotations.remove(ROTATE);
            }
            self.cluster.write_secret(&secret).await?;
            tracing::info!(secret = self.cluster.secret_name(), "{}", step.as_str());
        }
        let pem = state.pem();
        self.known = Some(state);
        // A leaf does not wait for the caBundle, which may be filled already.
        if configuration.is_ok() {
            self.serving.set_published(published);
        }
        if self.serving.leaf().is_none() {
            self.renew()?;
        }
        if step.is_some() {
            return Ok(true);
        }
        let configuration = configuration?;
        let is_written = self.cluster.write_ca_bundle(&configuration, &pem).await?;
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

    /// How long there is nothing to do, unless something changes.
    fn rest(&self) -> Duration {
        let now = (self.clock)();
        let leaf = self.serving.leaf().map(|leaf| leaf.due());
        let state = self.known.as_ref();
        let state = state.map(|state| state.deadline(&self.lifetimes));
        let next = leaf.into_iter().chain(state).min();
        let until = next.map_or(CLUSTER_CHECK, |next| {
            next.duration_since(now).unwrap_or_default()
        });
        // What is overdue waits for something else: an API server that answers, say.
        match until.is_zero() {
            true => CLUSTER_CHECK.min(self.lifetimes.propagation).max(PAUSE),
            false => until.min(CLUSTER_CHECK),
        }
    }

    fn unusable(&self, source: BundleError) -> PublishError {
        let name = self.cluster.secret_name().to_owned();
        match source {
            BundleError::Generate(_) => PublishError::Generate { name, source },
            source => PublishError::Content { name, source },
        }
    }
}

/// Signs the next leaf if it is time, or if the CA is another one that callers trust by now.
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

/// Says a trouble once, and when it is over, instead of every few seconds.
#[derive(Default)]
struct Log {
    trouble: Option<String>,
}

impl Log {
    fn note(&mut self, serving: &Serving, outcome: Result<(), KeepError>) {
        let trouble = outcome.err().map(|error| chain(&error));
        if trouble == self.trouble {
            return;
        }
        match &trouble {
            Some(error) => tracing::warn!(%error, "certificates cannot be kept current"),
            None => tracing::info!("certificates are current again"),
        }
        serving.set_trouble(trouble.clone());
        self.trouble = trouble;
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        // kube's errors end with their own cause.
        if !text.ends_with(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
