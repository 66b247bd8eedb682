//! A Pod whose injection is taken out and put in again: what a manifest that was edited since should
//! be. The webhook itself never does this; a second admission call must change nothing.

use serde_json::Map;
use serde_json::Value;

use crate::Answer;
use crate::InternalError;
use crate::Namespace;
use crate::Outcome;
use crate::Review;
use crate::Role;
use crate::Settings;
use crate::answer;
use crate::injected::has_our_names;
use crate::reader::List;
use crate::status::Status;
use crate::uninject;

/// An injected Pod as it would be injected now.
#[derive(Clone, Debug)]
pub struct Renewal {
    /// The Pod with the new injection; where it is refused, without any.
    pub pod: Value,
    /// What the webhook answers about the Pod without its injection.
    pub answer: Answer,
    /// How the new Pod differs from the one there is, a phrase each; what others added to that one
    /// is no difference.
    pub differences: Vec<String>,
    /// Whether both are the same but for the order of volumes, mounts, variables and pull secrets.
    pub is_same: bool,
}

/// Whether a container or a volume of ours is in a Pod; a status alone is no injection.
fn has_parts(pod: &Value) -> bool {
    let annotations = pod.pointer("/metadata/annotations");
    let status = Status::read(annotations.and_then(Value::as_object));
    let volumes = status.map(|status| status.volumes).unwrap_or_default();
    let mut volumes = volumes.iter();
    has_our_names(pod) || volumes.any(|name| named(items(pod, "volumes"), name).is_some())
}

/// Takes the injection out of a Pod and injects it again; `None` where nothing of ours is in it.
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
    let fresh = Review::of_pod(pod.clone()).in_namespace(review.namespace());
    let answer = answer(&fresh, settings, namespace)?;
    if let Some(patch) = answer.patch.as_ref().filter(|_| answer.allowed) {
        json_patch::patch(&mut pod, patch).map_err(not_applied)?;
    }
    let differences = match answer.outcome {
        Outcome::Deny(_) => vec!["it would be refused".to_owned()],
        _ => differences(present, &pod),
    };
    Ok(Some(Renewal {
        is_same: ordered(&without_defaults(present, &pod)) == ordered(&pod),
        pod,
        answer,
        differences,
    }))
}

/// Whether the webhook, or the command line, has written its status into a Pod.
pub fn has_status(pod: &Value) -> bool {
    let annotations = pod.pointer("/metadata/annotations");
    annotations.is_some_and(|own| own.get(Status::KEY).is_some())
}

/// Whether an injection is in a Pod, by its status or by a container of ours.
pub fn is_injected(pod: &Value) -> bool {
    has_status(pod) || has_our_names(pod)
}

/// The objects that an injection in a Pod was made for, by kind and name.
pub fn injected_objects(pod: &Value) -> Vec<String> {
    let annotations = pod.pointer("/metadata/annotations");
    let status = Status::read(annotations.and_then(Value::as_object));
    let objects = status.map(|status| status.objects).unwrap_or_default();
    objects.iter().map(ToString::to_string).collect()
}

fn not_applied(error: json_patch::PatchError) -> InternalError {
    InternalError::Patch(Box::new(error))
}

/// Fields of a container of ours that the API server fills in where they are left out.
const DEFAULTS: [&str; 5] = [
    "imagePullPolicy",
    "protocol",
    "recursiveReadOnly",
    "successThreshold",
    "terminationMessagePath",
];

/// A Pod without the API server's defaults in our containers, where the other one has none.
fn without_defaults(pod: &Value, other: &Value) -> Value {
    let mut pod = pod.clone();
    let list = List::InitContainers.key();
    let own = pod.get_mut("spec").and_then(|spec| spec.get_mut(list));
    for container in own.and_then(Value::as_array_mut).into_iter().flatten() {
        let name = container["name"].as_str().unwrap_or_default().to_owned();
        if let Some(other) = named(items(other, list), &name).filter(|_| is_ours(&name)) {
            drop_defaults(container, other);
        }
    }
    pod
}

fn drop_defaults(value: &mut Value, other: &Value) {
    match value {
        Value::Object(members) => {
            members.retain(|key, _| !DEFAULTS.contains(&key.as_str()) || other.get(key).is_some());
            for (key, child) in members {
                drop_defaults(child, &other[key.as_str()]);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                drop_defaults(item, &other[index]);
            }
        }
        _ => {}
    }
}

/// The Pod with the lists in order whose order means nothing.
fn ordered(pod: &Value) -> Value {
    let mut pod = pod.clone();
    let sort = |list: Option<&mut Value>| {
        if let Some(items) = list.and_then(Value::as_array_mut) {
            items.sort_by_cached_key(Value::to_string);
        }
    };
    let Some(spec) = pod.get_mut("spec") else {
        return pod;
    };
    sort(spec.get_mut("volumes"));
    sort(spec.get_mut("imagePullSecrets"));
    for list in [List::InitContainers, List::Containers] {
        let containers = spec.get_mut(list.key()).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            sort(container.get_mut("volumeMounts"));
            sort(container.get_mut("env"));
        }
    }
    pod
}

fn differences(present: &Value, renewed: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    let inits = (
        items(present, List::InitContainers.key()),
        items(renewed, List::InitContainers.key()),
    );
    for name in Role::ALL.map(Role::container) {
        match (named(inits.0, name), named(inits.1, name)) {
            (None, None) => {}
            (None, Some(_)) => differences.push(format!("container {name} is missing")),
            (Some(_), None) => differences.push(format!("container {name} would not be there")),
            (Some(is), Some(would_be)) => {
                let mut fields = fields(is, would_be);
                if neighbours(inits.0, inits.1, name) != neighbours(inits.1, inits.0, name) {
                    fields.push("its place");
                }
                if !fields.is_empty() {
                    differences.push(format!("container {name}: {}", fields.join(", ")));
                }
            }
        }
    }
    let volumes = (items(present, "volumes"), items(renewed, "volumes"));
    differences.extend(different_items("volume", volumes.0, volumes.1));
    for list in [List::InitContainers, List::Containers] {
        for would_be in items(renewed, list.key()) {
            let name = would_be["name"].as_str().unwrap_or_default();
            if is_ours(name) {
                continue;
            }
            let is = named(items(present, list.key()), name).unwrap_or(&Value::Null);
            if has_other_mounts(is, would_be) {
                differences.push(format!("container {name}: volumeMounts"));
            }
            if has_other_variables(is, would_be) {
                differences.push(format!("container {name}: env"));
            }
        }
    }
    let secrets = "imagePullSecrets";
    if !contains(
        &Value::from(items(present, secrets)),
        &Value::from(items(renewed, secrets)),
    ) {
        differences.push(secrets.to_owned());
    }
    differences
}

fn items<'a>(pod: &'a Value, list: &str) -> &'a [Value] {
    let own = pod.get("spec").and_then(|spec| spec.get(list)?.as_array());
    own.map(Vec::as_slice).unwrap_or_default()
}

fn named<'a>(items: &'a [Value], name: &str) -> Option<&'a Value> {
    items.iter().find(|own| own["name"] == name)
}

fn is_ours(container: &str) -> bool {
    Role::ALL.iter().any(|role| role.container() == container)
}

/// The init containers before one, of those that both Pods have.
fn neighbours<'a>(own: &'a [Value], other: &[Value], name: &str) -> Vec<&'a str> {
    let names = own.iter().filter_map(|own| own["name"].as_str());
    names
        .take_while(|own| *own != name)
        .filter(|own| named(other, own).is_some())
        .collect()
}

/// Volumes by name. What is there beside ours is not judged, unless its name is one of ours.
fn different_items(what: &str, is: &[Value], would_be: &[Value]) -> Vec<String> {
    let name = |own: &Value| own["name"].as_str().unwrap_or_default().to_owned();
    let gone = is
        .iter()
        .map(name)
        .filter(|name| name.starts_with("gitvolume-") && named(would_be, name).is_none())
        .map(|name| format!("{what} {name} would not be there"));
    let others = would_be.iter().filter_map(|own| {
        let name = name(own);
        match named(is, &name) {
            None => Some(format!("{what} {name} is missing")),
            Some(is) => {
                let mut fields = fields(is, own);
                // A limit or a medium that is no longer asked for is one of ours too.
                let lost = is["emptyDir"].as_object().into_iter().flatten();
                let lost = lost.filter(|(key, _)| own["emptyDir"][key.as_str()].is_null());
                let is_lost = name.starts_with("gitvolume-") && lost.count() > 0;
                if is_lost && !fields.contains(&"emptyDir") {
                    fields.push("emptyDir");
                }
                (!fields.is_empty()).then(|| format!("{what} {name}: {}", fields.join(", ")))
            }
        }
    });
    gone.chain(others).collect()
}

/// Whether a container mounts volumes of ours elsewhere, or in another way.
fn has_other_mounts(is: &Value, would_be: &Value) -> bool {
    let ours = |container: &Value| -> Vec<Map<String, Value>> {
        let mounts = container["volumeMounts"].as_array().into_iter().flatten();
        let mounts = mounts.filter(|mount| {
            let name = mount["name"].as_str().unwrap_or_default();
            name.starts_with("gitvolume-")
        });
        let mut all: Vec<Map<String, Value>> = mounts
            .filter_map(|mount| {
                let mut mount = mount.as_object()?.clone();
                // What the API server fills in.
                mount.retain(|key, value| key != "readOnly" || *value == true);
                mount.remove("recursiveReadOnly");
                Some(mount)
            })
            .collect();
        all.sort_by_cached_key(|mount| Value::Object(mount.clone()).to_string());
        all
    };
    ours(is) != ours(would_be)
}

fn has_other_variables(is: &Value, would_be: &Value) -> bool {
    would_be["env"].is_array() && !contains(&is["env"], &would_be["env"])
}

/// The fields that would be others. What somebody added to a list, or the API server to a map, is no
/// difference.
fn fields<'a>(is: &Value, would_be: &'a Value) -> Vec<&'a str> {
    let fields = would_be.as_object().into_iter().flatten();
    fields
        .filter(|(key, value)| !contains(&is[key.as_str()], value))
        .map(|(key, _)| key.as_str())
        .collect()
}

fn contains(is: &Value, wanted: &Value) -> bool {
    match (is, wanted) {
        (Value::Object(is), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, value)| is.get(key).is_some_and(|own| contains(own, value))),
        // The arguments are one text; other lists may have more items.
        (Value::Array(is), Value::Array(wanted)) => match wanted.first() {
            Some(Value::Object(_)) => wanted
                .iter()
                .all(|item| is.iter().any(|own| contains(own, item))),
            None => true,
            _ => is == wanted,
        },
        (is, wanted) => is == wanted,
    }
}

#[cfg(test)]
mod tests;
