//! Residues of an injection that remain after `uninject` or a new injection, because they were
//! edited by hand and no longer match. They are reported, because nothing fills their volumes any
//! more.

use std::collections::BTreeSet;

use inject::Role;
use inject::has_status;
use inject::volumes_of_ours;
use serde_json::Value;

/// The name prefix of injected volumes.
const VOLUMES: &str = "gitvolume-";

/// The directory in which injected containers mount their volumes.
const DIRECTORY: &str = "/gitvolume/";

/// The messages about containers of a Pod that still use an injection's volumes, which are those of
/// the Pod before the edit.
pub fn residue(before: &Value, after: &Value) -> Vec<String> {
    let status = volumes_of_ours(before);
    let is_added = |name: &str| {
        let is_named = status.iter().any(|own| own == name) || !has_status(before);
        is_named && name.starts_with(VOLUMES)
    };
    let (ours, others): (Vec<&Value>, Vec<&Value>) =
        containers(after).partition(|own| is_ours(own));
    let filled: BTreeSet<&str> = ours.into_iter().flat_map(mounts).map(|own| own.0).collect();
    others
        .into_iter()
        .filter_map(|container| {
            let name = container["name"].as_str().unwrap_or_default();
            let mut added = mounts(container).filter(|(volume, _)| is_added(volume));
            let is_syncer = added.clone().any(|(_, path)| path.starts_with(DIRECTORY));
            if is_syncer {
                return Some(format!(
                    "container {name} is an injected container under another name; remove it"
                ));
            }
            let (volume, path) = added.find(|(volume, _)| !filled.contains(volume))?;
            Some(format!(
                "container {name} still mounts the volume {volume} at {path}, and no container writes \
                 files into it; remove the mount and the volume"
            ))
        })
        .collect()
}

/// The message about injected volumes that are gone, so that their parts cannot be recognised.
pub fn gone(pod: &Value) -> Option<String> {
    let volumes = pod.pointer("/spec/volumes").and_then(Value::as_array);
    let is_there = |name: &String| {
        let mut volumes = volumes.into_iter().flatten();
        volumes.any(|volume| volume["name"] == **name)
    };
    let mut gone = volumes_of_ours(pod);
    gone.retain(|name| name.starts_with(VOLUMES) && !is_there(name));
    (!gone.is_empty()).then(|| {
        format!(
            "missing from the Pod: the injected {}; if a volume was renamed by hand, remove it and its mounts",
            gone.join(", ")
        )
    })
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["/spec/initContainers", "/spec/containers"];
    let lists = lists.into_iter().filter_map(|list| pod.pointer(list));
    lists.filter_map(Value::as_array).flatten()
}

fn is_ours(container: &Value) -> bool {
    container["name"]
        .as_str()
        .is_some_and(Role::is_container_name)
}

/// The volumes that a container mounts, with their paths.
fn mounts(container: &Value) -> impl Iterator<Item = (&str, &str)> + Clone {
    let mounts = container["volumeMounts"].as_array().into_iter().flatten();
    mounts.filter_map(|mount| Some((mount["name"].as_str()?, mount["mountPath"].as_str()?)))
}
