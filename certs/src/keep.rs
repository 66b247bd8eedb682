use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use tokio::time::MissedTickBehavior;

use crate::Bundle;
use crate::Cluster;
use crate::IssueError;
use crate::Leaf;
use crate::Names;
use crate::PublishError;
use crate::Serving;

/// How often the leaf's age is judged, by the wall clock: a timer set for days would be wrong
/// after a suspended machine wakes up.
const RENEWAL_CHECK: Duration = Duration::from_secs(60);

/// How often the Secret and the webhook configuration are read. A caBundle that was wiped is
/// repaired within this time and two calls; two small reads by name cost the API server nothing.
const CLUSTER_CHECK: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
enum KeepError {
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
    serving.set_published(crate::Published::NotNeeded);
    serving.set_leaf(Leaf::issue(&bundle, &names, SystemTime::now())?);
    Ok(async move {
        let mut log = Log::default();
        let mut ticks = tokio::time::interval(RENEWAL_CHECK);
        loop {
            ticks.tick().await;
            log.note(renew(&serving, &bundle, &names, SystemTime::now()));
        }
    })
}

/// Keeps the CA of the cluster, a leaf signed by it, and our caBundle current, for ever.
pub async fn keep_in_cluster(serving: Arc<Serving>, cluster: Cluster, names: Names) -> Infallible {
    let mut log = Log::default();
    let mut ticks = tokio::time::interval(CLUSTER_CHECK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known: Option<Bundle> = None;
    loop {
        ticks.tick().await;
        let outcome = reconcile(&serving, &cluster, &names, &mut known).await;
        // Without the API server the CA we know still renews our leaf.
        let renewed = known
            .as_ref()
            .map(|bundle| renew(&serving, bundle, &names, SystemTime::now()));
        match outcome {
            Ok(()) => log.note(renewed.unwrap_or(Ok(()))),
            Err(error) => log.note(Err(error)),
        }
    }
}

async fn reconcile(
    serving: &Serving,
    cluster: &Cluster,
    names: &Names,
    known: &mut Option<Bundle>,
) -> Result<(), KeepError> {
    let bundle = cluster.load_or_create(SystemTime::now()).await?;
    // A first leaf does not wait for the caBundle: it may be filled already.
    if serving.leaf().is_none() {
        serving.set_leaf(Leaf::issue(&bundle, names, SystemTime::now())?);
    }
    serving.set_published(cluster.ensure_ca_bundle(&bundle).await?);
    let changed = known
        .as_ref()
        .is_none_or(|known| known.signer() != bundle.signer());
    if changed {
        *known = Some(bundle);
    }
    Ok(())
}

/// Signs the next leaf if it is time, or if the CA is another one that callers trust by now.
fn renew(
    serving: &Serving,
    bundle: &Bundle,
    names: &Names,
    now: SystemTime,
) -> Result<(), KeepError> {
    let due = match serving.leaf() {
        None => true,
        Some(leaf) if leaf.signer() != bundle.signer() => {
            serving.trusts(bundle.signer()) || !serving.trusts(leaf.signer())
        }
        Some(leaf) => leaf.is_due(now),
    };
    if due {
        let leaf = Leaf::issue(bundle, names, now)?;
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
    fn note(&mut self, outcome: Result<(), KeepError>) {
        let trouble = outcome.err().map(|error| chain(&error));
        if trouble == self.trouble {
            return;
        }
        match &trouble {
            Some(error) => tracing::warn!(%error, "certificates cannot be kept current"),
            None => tracing::info!("certificates are current again"),
        }
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
mod tests {
    use super::*;
    use crate::Published;

    #[test]
    fn a_cause_is_told_once() {
        let refused = kube::Error::Service("connection refused".into());
        let error = KeepError::Publish(PublishError::Api {
            action: "cannot read",
            kind: "Secret",
            name: "ca".to_owned(),
            source: Box::new(refused),
        });
        let text = chain(&error);
        assert!(text.starts_with("cannot read Secret ca: "), "{text}");
        assert_eq!(text.matches("connection refused").count(), 1, "{text}");
    }

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn ends(serving: &Serving) -> SystemTime {
        serving.leaf().unwrap().not_after()
    }

    #[test]
    fn a_leaf_is_renewed_by_the_wall_clock() {
        let now = SystemTime::now();
        let (serving, names) = (Serving::new(), Names::local());
        let bundle = Bundle::generate(now).unwrap();
        renew(&serving, &bundle, &names, now).unwrap();
        let first = ends(&serving);
        renew(&serving, &bundle, &names, now + 4 * DAY).unwrap();
        assert_eq!(ends(&serving), first, "it is too early");
        // The machine was suspended for a month.
        renew(&serving, &bundle, &names, now + 30 * DAY).unwrap();
        assert_eq!(ends(&serving), now + 37 * DAY);
    }

    #[test]
    fn a_new_ca_signs_when_callers_trust_it_or_trust_the_old_one_no_more() {
        let now = SystemTime::now();
        let (serving, names) = (Serving::new(), Names::local());
        let old = Bundle::generate(now).unwrap();
        let new = Bundle::generate(now).unwrap();
        let trust = |bundle: &Bundle| Published::Known(vec![bundle.certificates().to_vec()]);
        let signed_by = |bundle: &Bundle| serving.leaf().unwrap().signer() == bundle.signer();

        serving.set_published(trust(&old));
        renew(&serving, &old, &names, now).unwrap();
        renew(&serving, &new, &names, now).unwrap();
        assert!(signed_by(&old), "nobody trusts the new one yet");
        serving.set_published(trust(&new));
        renew(&serving, &new, &names, now).unwrap();
        assert!(signed_by(&new));
        serving.set_published(Published::Unknown);
        renew(&serving, &old, &names, now).unwrap();
        assert!(signed_by(&old), "there is nothing to lose");
    }
}
