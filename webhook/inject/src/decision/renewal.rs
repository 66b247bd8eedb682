//! Renewal: removes the injection of a Pod and injects it again, for a manifest that was edited
//! since. The webhook itself never does this; a second admission call must change nothing.

use serde_json::Value;

use crate::Answer;
use crate::InternalError;
use crate::Namespace;
use crate::Outcome;
use crate::Review;
use crate::Settings;
use crate::decision::answer::answer;
use crate::decision::differences::differences;
use crate::decision::differences::is_same;
use crate::decision::differences::items;
use crate::decision::differences::named;
use crate::decision::uninject::VOLUMES;
use crate::decision::uninject::uninject;
use crate::plan::injected::has_our_names;
use crate::pod::document;
use crate::pod::evictable;
use crate::pod::reader::List;
use crate::sources::status::Status;

/// An injected Pod with its injection renewed.
#[derive(Clone, Debug)]
pub struct Renewal {
    /// The Pod with the new injection; without any where it is refused.
    pub pod: Value,
    /// The webhook's answer to the Pod without its injection.
    pub answer: Answer,
    /// The differences between the new Pod and the present one, a phrase each; additions by others
    /// are no difference.
    pub differences: Vec<String>,
    /// Whether both are equal except for the order of volumes, mounts, variables and pull secrets.
    pub is_same: bool,
}

/// Whether a Pod has an injected container or volume; a status alone is no injection.
fn has_parts(pod: &Value) -> bool {
    let mut volumes = volumes_of_ours(pod).into_iter();
    has_our_names(pod) || volumes.any(|name| named(items(pod, "volumes"), &name).is_some())
}

/// The names of the added volumes, from the status.
pub fn volumes_of_ours(pod: &Value) -> Vec<String> {
    let status = Status::read(document::annotations(pod));
    status.map(|status| status.volumes).unwrap_or_default()
}

/// Removes the volumes of these names that `uninject` keeps, from the Pod and from the autoscaler's
/// list.
fn take_volumes(pod: &mut Value, names: &[String]) -> Vec<Value> {
    let lists = [List::InitContainers, List::Containers].map(|list| items(pod, list.key()));
    let mounts = lists.concat();
    let mounts = mounts
        .iter()
        .filter_map(|own| own["volumeMounts"].as_array());
    // A container that runs a syncer under another name keeps the volumes that it writes into.
    let written: Vec<Value> = mounts
        .flatten()
        .filter(|mount| {
            mount["mountPath"]
                .as_str()
                .is_some_and(|path| path.starts_with("/gitvolume/"))
        })
        .map(|mount| mount["name"].clone())
        .collect();
    let is_ours = |volume: &Value| {
        let name = volume["name"].as_str().unwrap_or_default();
        let is_named = names.iter().any(|own| own == name);
        is_named && name.starts_with(VOLUMES) && !written.contains(&volume["name"])
    };
    let volumes = pod.pointer_mut("/spec/volumes");
    let Some(volumes) = volumes.and_then(Value::as_array_mut) else {
        return Vec::new();
    };
    let (kept, others): (Vec<Value>, Vec<Value>) = volumes.drain(..).partition(is_ours);
    *volumes = others;
    if kept.is_empty() {
        return kept;
    }
    let annotations = pod.pointer_mut("/metadata/annotations");
    if let Some(annotations) = annotations.and_then(Value::as_object_mut)
        && let Some(listed) = annotations.get(evictable::KEY).and_then(Value::as_str)
    {
        let kept = kept.iter().filter_map(|volume| volume["name"].as_str());
        match evictable::without(listed, None, kept) {
            Some(rest) => annotations.insert(evictable::KEY.to_owned(), rest.into()),
            None => annotations.remove(evictable::KEY),
        };
    }
    kept
}

/// Restores the volumes that the new injection has not added.
fn put_back(pod: &mut Value, kept: Vec<Value>) {
    if let Some(volumes) = pod
        .pointer_mut("/spec/volumes")
        .and_then(Value::as_array_mut)
    {
        for volume in kept {
            if named(volumes, volume["name"].as_str().unwrap_or_default()).is_none() {
                volumes.push(volume);
            }
        }
    }
}

/// Removes the injection from a Pod and injects it again; `None` where the Pod has no injection.
pub fn renew(
    review: &Review,
    settings: &Settings,
    namespace: &Namespace,
) -> Result<Option<Renewal>, InternalError> {
    let present = review.object();
    if !has_parts(present) {
        return Ok(None);
    }
    let Some(patch) = uninject(present)? else {
        return Ok(None);
    };
    let mut pod = present.clone();
    json_patch::patch(&mut pod, &patch).map_err(not_applied)?;
    // Mounts that were added by hand refer to the same volumes afterwards.
    let kept = take_volumes(&mut pod, &volumes_of_ours(present));
    let fresh = Review::of_pod(pod.clone()).in_namespace(review.namespace());
    let answer = answer(&fresh, settings, namespace)?;
    if let Some(patch) = answer.patch.as_ref().filter(|_| answer.allowed) {
        json_patch::patch(&mut pod, patch).map_err(not_applied)?;
    }
    put_back(&mut pod, kept);
    let differences = match answer.outcome {
        Outcome::Deny(_) => vec!["the webhook would refuse it".to_owned()],
        _ => differences(present, &pod),
    };
    Ok(Some(Renewal {
        is_same: is_same(present, &pod),
        pod,
        answer,
        differences,
    }))
}

/// Whether the webhook or the command line has written its status into a Pod.
pub fn has_status(pod: &Value) -> bool {
    document::annotations(pod).is_some_and(|all| all.contains_key(Status::KEY))
}

/// Whether a Pod has an injection: a status or an injected container.
pub fn is_injected(pod: &Value) -> bool {
    has_status(pod) || has_our_names(pod)
}

/// The objects that the injection of a Pod was made from, by kind and name.
pub fn injected_objects(pod: &Value) -> Vec<String> {
    let status = Status::read(document::annotations(pod));
    let objects = status.map(|status| status.objects).unwrap_or_default();
    objects.iter().map(ToString::to_string).collect()
}

fn not_applied(error: json_patch::PatchError) -> InternalError {
    InternalError::Patch(Box::new(error))
}

#[cfg(test)]
mod tests;
