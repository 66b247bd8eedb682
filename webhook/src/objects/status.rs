//! Tells objects what becomes of them, by their status.
//!
//! Every replica does, and none leads: what is written is what all of them find, and who sees that it
//! is written already writes nothing. A patch names the state that it is about, so the second of two
//! is refused and not another version of the first.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::AtomicU64;
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

use crate::coverage::AutoInjection;
use crate::known::Known;
use crate::objects;
use crate::objects::Key;
use crate::objects::conditions::Judgement;

/// Whose writing it is, in `managedFields`.
const MANAGER: &str = "gitvolume-status";

/// How long changes are gathered before they are looked at: other replicas saw them too, and one of
/// us is the first.
const GATHER: Duration = Duration::from_millis(250);

/// The time between two writes: 20 in a second, so 500 objects take 25 seconds and the API server
/// notices nothing.
const PAUSE: Duration = Duration::from_millis(50);

/// How often all objects are looked at where nothing has changed: the settings may have.
const ANYWAY: Duration = Duration::from_secs(5);

/// The longest wait before the same is written to the same object again: somebody else, such as a
/// replica of another version, keeps writing something else.
const LONGEST: Duration = Duration::from_secs(300);

/// How many statuses were written.
#[derive(Debug, Default)]
pub struct Writes {
    /// By us.
    pub written: AtomicU64,
    /// By another replica, a moment before us.
    pub conflicts: AtomicU64,
    /// By nobody: the API server refused or was away.
    pub failed: AtomicU64,
}

/// What we wrote last to an object, to see that somebody takes it back.
struct Written {
    conditions: Vec<Condition>,
    wait: Duration,
    not_before: Instant,
}

/// Keeps the objects told, for ever.
pub async fn keep_told(known: Known, client: Client) -> Infallible {
    let mut last: HashMap<Key, Written> = HashMap::new();
    let mut trouble: Option<String> = None;
    loop {
        let changed = known.namespaces.changed();
        // A wait that is over is no error here: then all are looked at anyway.
        let _ = tokio::time::timeout(ANYWAY, changed).await;
        tokio::time::sleep(GATHER).await;
        // What is not known yet would be written as unknown, and again a moment later.
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
                        tracing::info!("objects are told their state again");
                    }
                }
                Err(error) => {
                    // Once, and not at every attempt; the others wait for the next look.
                    let error = error.to_string();
                    if trouble.as_ref() != Some(&error) {
                        tracing::warn!(error, "objects cannot be told their state");
                        trouble = Some(error);
                    }
                    break;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The objects whose status is another than it should be, in an order that differs between replicas.
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
    // The order of a HashMap is another one in each process.
    due.into_keys().collect()
}

async fn write(
    known: &Known,
    key: &Key,
    client: &Client,
    last: &mut HashMap<Key, Written>,
) -> Result<(), kube::Error> {
    let writes = &known.namespaces.writes;
    // Another replica may have written it since.
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
            // The watch will tell the same; unless it has told more by now.
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

/// The conditions that an object should have, and the patch that gives them to the state that was
/// seen; `None` where it has them.
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

/// Takes note of what was written: the same a second time waits, and longer each time.
fn remember(last: &mut HashMap<Key, Written>, key: &Key, conditions: Vec<Condition>) {
    const FIRST: Duration = Duration::from_secs(2);
    // But for the time.
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
