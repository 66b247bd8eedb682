//! Writes the status of GitVolumes and ClusterGitVolumes.
//!
//! Every replica writes, without a leader: all replicas compute the same conditions, and a replica
//! that sees them already written does nothing. Each patch carries the `resourceVersion` that it
//! was computed from, so of two concurrent patches the API server rejects the second.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use inject::Kind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::Client;
use kube::api::DynamicObject;
use kube::api::Patch;
use kube::api::PatchParams;
use serde_json::json;

use crate::cluster::coverage::AutoInjection;
use crate::cluster::known::Known;
use crate::cluster::objects;
use crate::cluster::objects::conditions::Judgement;
use crate::cluster::objects::object::Key;

/// The field manager in `managedFields`.
const MANAGER: &str = "gitvolume-status";

/// Debounce: time from a change to the comparison that follows. Other replicas see the same change,
/// and one of them writes first.
const DEBOUNCE: Duration = Duration::from_millis(250);

/// Pause between two writes: 20 per second, so 500 objects take 25 seconds, a negligible load for
/// the API server.
const PAUSE: Duration = Duration::from_millis(50);

/// Interval at which all objects are compared without a change in the cluster: the settings may
/// have changed.
const RESYNC: Duration = Duration::from_secs(5);

/// Maximum back-off before the same conditions are written to the same object again: another
/// client, such as a replica of another version, keeps writing different ones.
const LONGEST: Duration = Duration::from_secs(300);

/// The last write to an object, to detect that another client reverted it.
struct Written {
    conditions: Vec<Condition>,
    wait: Duration,
    not_before: Instant,
}

/// Keeps the status of all objects current; never returns.
pub async fn keep_told(known: Known, client: Client) -> Infallible {
    let mut last: HashMap<Key, Written> = HashMap::new();
    let mut trouble: Option<String> = None;
    loop {
        let changed = known.namespaces.changed();
        // A timeout is no error: all objects are compared then.
        let _ = tokio::time::timeout(RESYNC, changed).await;
        tokio::time::sleep(DEBOUNCE).await;
        // Otherwise `Unknown` would be written now and the real status a moment later.
        let is_unread = known.namespaces.auto_injection() == AutoInjection::Unread;
        if is_unread || known.namespaces.missing().is_some() {
            continue;
        }
        let due = due(&known, &mut last);
        for key in due {
            let written = write(&known, &key, &client, &mut last).await;
            match written {
                Ok(()) => {
                    if trouble.take().is_some() {
                        tracing::info!("the webhook can write the statuses of objects again");
                    }
                }
                Err(error) => {
                    // Logged once, not at every attempt; the remaining objects wait for the next
                    // pass.
                    let error = error.to_string();
                    if trouble.as_ref() != Some(&error) {
                        tracing::warn!(error, "cannot write the statuses of objects");
                        trouble = Some(error);
                    }
                    break;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The objects whose status is outdated, in an order that differs between replicas.
fn due(known: &Known, last: &mut HashMap<Key, Written>) -> Vec<Key> {
    let model = known.namespaces.model();
    let settings = known.settings.load();
    let judgement = Judgement::new(&model, &settings, known.namespaces.auto_injection());
    let now = Time(Timestamp::now());
    let instant = Instant::now();
    last.retain(|key, _| model.objects.contains_key(key));
    let is_due = |key: &&Key| {
        let waits = last.get(key).is_some_and(|last| last.not_before > instant);
        !waits && judgement.changed(key, &now).is_some()
    };
    let due: HashMap<Key, ()> = model
        .objects
        .keys()
        .filter(is_due)
        .map(|key| (key.clone(), ()))
        .collect();
    // The iteration order of a HashMap differs between processes.
    due.into_keys().collect()
}

async fn write(
    known: &Known,
    key: &Key,
    client: &Client,
    last: &mut HashMap<Key, Written>,
) -> Result<(), kube::Error> {
    let writes = &known.namespaces.writes;
    // Another replica may have written it in the meantime.
    let Some((conditions, patch)) = patch(known, key) else {
        return Ok(());
    };
    let kind = match key.namespace {
        Some(_) => Kind::GitVolume,
        None => Kind::ClusterGitVolume,
    };
    let resource = objects::resource(kind);
    let api: Api<DynamicObject> = match &key.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    match api
        .patch_status(&key.name, &params, &Patch::Merge(&patch))
        .await
    {
        Ok(object) => {
            writes.written.fetch_add(1, Ordering::Relaxed);
            remember(last, key, conditions);
            let (_, object) = objects::read(kind, object);
            let mut model = known.namespaces.model();
            // The watch will report the same state; skip this if it already reported a newer one.
            if let Some(seen) = model.objects.get_mut(key)
                && patch["metadata"]["resourceVersion"] == *seen.resource_version
            {
                seen.told = object.told;
                seen.observed_generation = object.observed_generation;
                seen.resource_version = object.resource_version;
            }
            Ok(())
        }
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
            writes.conflicts.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
        Err(error) => {
            writes.failed.fetch_add(1, Ordering::Relaxed);
            Err(error)
        }
    }
}

/// The conditions that an object should have, and the patch of the observed version that sets them;
/// `None` if the object already has them.
fn patch(known: &Known, key: &Key) -> Option<(Vec<Condition>, serde_json::Value)> {
    let model = known.namespaces.model();
    let settings = known.settings.load();
    let judgement = Judgement::new(&model, &settings, known.namespaces.auto_injection());
    let conditions = judgement.changed(key, &Time(Timestamp::now()))?;
    let object = model.objects.get(key)?;
    let patch = json!({
        "metadata": {"resourceVersion": object.resource_version},
        "status": {
            "observedGeneration": object.volume.generation(),
            "conditions": conditions,
        },
    });
    Some((conditions, patch))
}

/// Records a write. Writing the same conditions again is delayed, each time for longer.
fn remember(last: &mut HashMap<Key, Written>, key: &Key, conditions: Vec<Condition>) {
    const FIRST: Duration = Duration::from_secs(2);
    // Ignores `lastTransitionTime`.
    let is_same = |one: &Condition, other: &Condition| {
        one.type_ == other.type_
            && one.status == other.status
            && one.message == other.message
            && one.observed_generation == other.observed_generation
    };
    let again = last
        .get(key)
        .filter(|last| {
            let pairs = last.conditions.iter().zip(&conditions);
            last.conditions.len() == conditions.len()
                && pairs.into_iter().all(|(one, other)| is_same(one, other))
        })
        .map(|last| (last.wait * 2).min(LONGEST));
    let wait = again.unwrap_or(FIRST);
    let not_before = match again {
        Some(wait) => Instant::now() + wait,
        None => Instant::now(),
    };
    let written = Written {
        conditions,
        wait,
        not_before,
    };
    last.insert(key.clone(), written);
}
