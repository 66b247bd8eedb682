//! The differences between the injection in a Pod and a renewed one.

use serde_json::Map;
use serde_json::Value;

use crate::Key;
use crate::Role;
use crate::decision::uninject::VOLUMES;
use crate::pod::document;
use crate::pod::evictable;
use crate::pod::reader::List;
use crate::sources::status::Status;

/// Whether two Pods are equal except for the API server's defaults and the order of volumes,
/// mounts, variables and pull secrets.
pub(super) fn is_same(present: &Value, renewed: &Value) -> bool {
    ordered(&without_defaults(present, renewed)) == ordered(renewed)
}

/// The differences between the new Pod and the present one, a phrase each.
pub(super) fn differences(present: &Value, renewed: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    let inits = (
        items(present, List::InitContainers.key()),
        items(renewed, List::InitContainers.key()),
    );
    for name in Role::ALL.map(Role::container) {
        match (named(inits.0, name), named(inits.1, name)) {
            (None, None) => {}
            (None, Some(_)) => differences.push(format!("container {name} is missing")),
            (Some(_), None) => differences.push(format!("container {name} would be removed")),
            (Some(is), Some(would_be)) => {
                let mut fields = fields(is, would_be);
                if neighbours(inits.0, inits.1, name) != neighbours(inits.1, inits.0, name) {
                    fields.push("its position");
                }
                if !fields.is_empty() {
                    differences.push(format!("container {name}: {}", fields.join(", ")));
                }
            }
        }
    }
    let volumes = (items(present, "volumes"), items(renewed, "volumes"));
    differences.extend(different_volumes(volumes.0, volumes.1));
    for list in [List::InitContainers, List::Containers] {
        for would_be in items(renewed, list.key()) {
            let name = would_be["name"].as_str().unwrap_or_default();
            if Role::is_container_name(name) {
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
    differences.extend(different_annotations(present, renewed));
    differences
}

/// Compares the annotations that the injection writes. Additions by others to the autoscaler's list
/// are no difference. A status of another version or configuration is reported separately.
fn different_annotations(present: &Value, renewed: &Value) -> Vec<String> {
    let annotation = |pod: &'_ Value, key: &str| {
        let text = document::annotations(pod)?.get(key)?.as_str()?;
        Some(text.to_owned())
    };
    let of_both = |key: &str| (annotation(present, key), annotation(renewed, key));
    let (is, would_be) = of_both(Key::Injected.annotation());
    let is_listed = would_be.is_none() || is == would_be;
    let (is, would_be) = of_both(evictable::KEY);
    let is = evictable::listed(is.as_deref());
    let mut volumes = evictable::listed(would_be.as_deref()).into_iter();
    let is_evictable = volumes.all(|volume| is.contains(&volume));
    let (is, would_be) = of_both(Status::KEY);
    let is_read = |text: String| serde_json::from_str::<Status>(&text).is_ok();
    let is_status = would_be.is_none() || is.is_some_and(is_read);
    let all = [
        (Key::Injected.annotation(), is_listed),
        (evictable::KEY, is_evictable),
        (Status::KEY, is_status),
    ];
    let others = all.into_iter().filter(|(_, is_same)| !is_same);
    others.map(|(key, _)| format!("annotation {key}")).collect()
}

pub(super) fn items<'a>(pod: &'a Value, list: &str) -> &'a [Value] {
    let own = pod.get("spec").and_then(|spec| spec.get(list)?.as_array());
    own.map(Vec::as_slice).unwrap_or_default()
}

pub(super) fn named<'a>(items: &'a [Value], name: &str) -> Option<&'a Value> {
    items.iter().find(|item| item["name"] == name)
}

/// The init containers before `name` that both Pods have.
fn neighbours<'a>(own: &'a [Value], other: &[Value], name: &str) -> Vec<&'a str> {
    let names = own.iter().filter_map(|item| item["name"].as_str());
    names
        .take_while(|before| *before != name)
        .filter(|before| named(other, before).is_some())
        .collect()
}

/// Compares volumes by name. Other volumes of the Pod are ignored, unless they have the name of an
/// injected one.
fn different_volumes(is: &[Value], would_be: &[Value]) -> Vec<String> {
    let name = |own: &Value| own["name"].as_str().unwrap_or_default().to_owned();
    let gone = is
        .iter()
        .map(name)
        .filter(|name| name.starts_with(VOLUMES) && named(would_be, name).is_none())
        .map(|name| format!("volume {name} would be removed"));
    let others = would_be.iter().filter_map(|own| {
        let name = name(own);
        match named(is, &name) {
            None => Some(format!("volume {name} is missing")),
            Some(is) => {
                let mut fields = fields(is, own);
                // A size limit or medium that is no longer requested was set by the injection too.
                let lost = is["emptyDir"].as_object().into_iter().flatten();
                let lost = lost.filter(|(key, _)| own["emptyDir"][key.as_str()].is_null());
                let is_lost = name.starts_with(VOLUMES) && lost.count() > 0;
                if is_lost && !fields.contains(&"emptyDir") {
                    fields.push("emptyDir");
                }
                (!fields.is_empty()).then(|| format!("volume {name}: {}", fields.join(", ")))
            }
        }
    });
    gone.chain(others).collect()
}

/// Whether a container mounts the injected volumes at other paths or with other options.
fn has_other_mounts(is: &Value, would_be: &Value) -> bool {
    let ours = |container: &Value| -> Vec<Map<String, Value>> {
        let mounts = container["volumeMounts"].as_array().into_iter().flatten();
        let mounts = mounts.filter(|mount| {
            let name = mount["name"].as_str().unwrap_or_default();
            name.starts_with(VOLUMES)
        });
        let mut all: Vec<Map<String, Value>> = mounts
            .filter_map(|mount| {
                let mut mount = mount.as_object()?.clone();
                // The API server's default.
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

/// The fields that differ. Items added to a list, or keys that the API server added to a map, are
/// no difference.
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
            .all(|(key, value)| is.get(key).is_some_and(|present| contains(present, value))),
        // The arguments are compared as one text; other lists may have more items.
        (Value::Array(is), Value::Array(wanted)) => match wanted.first() {
            Some(Value::Object(_)) => wanted
                .iter()
                .all(|item| is.iter().any(|present| contains(present, item))),
            None => true,
            _ => is == wanted,
        },
        (is, wanted) => is == wanted,
    }
}

/// Fields of an injected container for which the API server sets a default.
const DEFAULTS: [&str; 5] = [
    "imagePullPolicy",
    "protocol",
    "recursiveReadOnly",
    "successThreshold",
    "terminationMessagePath",
];

/// A Pod without the API server's defaults in its injected containers, where the other Pod has
/// none.
fn without_defaults(pod: &Value, other: &Value) -> Value {
    let mut pod = pod.clone();
    let list = List::InitContainers.key();
    let own = pod.get_mut("spec").and_then(|spec| spec.get_mut(list));
    for container in own.and_then(Value::as_array_mut).into_iter().flatten() {
        let name = container["name"].as_str().unwrap_or_default().to_owned();
        if let Some(other) =
            named(items(other, list), &name).filter(|_| Role::is_container_name(&name))
        {
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

/// A Pod with those lists sorted whose order has no meaning.
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
