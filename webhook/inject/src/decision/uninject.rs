//! Removal of an injection: everything that the webhook added, and nothing of the author's.
//! Injected parts are recognised by their content; the status records only what the Pod had before.

use args::paths;
use json_patch::Patch;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::api::core::v1::Volume;
use k8s_openapi::api::core::v1::VolumeMount;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::InternalError;
use crate::Request;
use crate::Role;
use crate::keys::key;
use crate::patch::recorder::Recorder;
use crate::patch::recorder::path;
use crate::plan::SAFE_DIRECTORY;
use crate::plan::injected::has_our_names;
use crate::plan::injected::is_ours;
use crate::pod::document;
use crate::pod::evictable;
use crate::pod::reader;
use crate::pod::reader::List;
use crate::pod::reader::Reader;
use crate::pod::typed;
use crate::sources::annotations;
use crate::sources::gitrepo;
use crate::sources::objects::Choice;
use crate::sources::status::Status;

/// Makes the patch that removes an injection: the injected containers, by name and program; their
/// volumes that the status names, where nothing else uses them, and their mounts; the variables
/// that make git trust the repositories; pull secrets; the autoscaler's list; and the status.
/// Converted volumes become gitRepo volumes again, at the same index. `None` where the Pod has no
/// injection.
///
/// For an injected Pod that has not changed since, the result is the original Pod. A list that
/// becomes empty gets the value that the status records, and is removed where it records none. An
/// error means that the object cannot be read as a Pod.
pub fn uninject(pod: &Value) -> Result<Option<Patch>, InternalError> {
    let annotations = document::annotations(pod);
    let status = Status::read(annotations);
    let is_written = |key: &&str| annotations.is_some_and(|all| all.contains_key(*key));
    if !key::WRITTEN.iter().any(is_written) && !has_our_names(pod) {
        return Ok(None);
    }
    let spec = match &pod["spec"] {
        Value::Null => PodSpec::default(),
        spec => typed::read(spec).map_err(InternalError::Unreadable)?,
    };
    let mut recorder = Recorder::new(pod.clone());
    // In either list: an edit by hand may have moved them.
    let ours: Vec<Reader<'_>> = reader::all(&spec)
        .filter(|reader| is_ours(reader.container))
        .collect();
    let status = match status {
        Some(status) if !ours.is_empty() && status.names_nothing() => inferred(&spec, &ours)?,
        None if !ours.is_empty() => inferred(&spec, &ours)?,
        status => status.unwrap_or_default(),
    };
    // Converting a part of the volumes would leave the others without a container that fills them.
    let mut converted = status.git_repos.keys();
    let is_renamed = !converted.all(|name| names(&spec).any(|own| own == name));
    let mut unknown = ours.iter().filter_map(|own| {
        let is_of_volumes = is_renamed || own.container.name == Role::GitRepo.container();
        let mut content = content_of_others(own.container).filter(|_| is_of_volumes);
        content.find(|name| !status.git_repos.contains_key(*name))
    });
    if let Some(name) = unknown.next() {
        return Err(InternalError::UnknownVolume(name.to_owned()));
    }
    // Anybody can write a status. Without an injected container, only volumes with injected names
    // are removed, and converted gitRepo volumes stay. Where another container has the name of an
    // injected one, nothing is removed.
    let is_left = || {
        let mut volumes = status.volumes.iter();
        volumes.any(|name| is_our_name(name)) && !has_our_names(pod)
    };
    if !ours.is_empty() || is_left() {
        take_out(&mut recorder, &spec, &ours, &status, annotations)?;
    }
    let at = path(["metadata", "annotations"]);
    if annotations.is_some() {
        for key in key::WRITTEN {
            recorder.remove_member(&at, key)?;
        }
        recorder.prune(&at, None)?;
    }
    Ok(recorder.finish().map(|edited| edited.patch))
}

/// The prefix of the names of added volumes.
pub(crate) const VOLUMES: &str = "gitvolume-";

fn is_our_name(volume: &str) -> bool {
    volume.starts_with(VOLUMES)
}

fn names(spec: &PodSpec) -> impl Iterator<Item = &String> {
    spec.volumes.iter().flatten().map(|volume| &volume.name)
}

/// The volumes that an injected container publishes into and that the webhook did not add: they
/// were gitRepo volumes.
fn content_of_others(container: &Container) -> impl Iterator<Item = &str> {
    let mounts = container.volume_mounts.iter().flatten();
    let content = mounts.filter(|own| own.mount_path.starts_with(paths::CONTENT));
    let names = content.map(|own| own.name.as_str());
    names.filter(|name| !is_our_name(name))
}

/// The status as far as the Pod shows it: the volumes with injected names. Nothing in a Pod shows
/// which volumes were gitRepo volumes.
fn inferred(spec: &PodSpec, ours: &[Reader<'_>]) -> Result<Status, InternalError> {
    let mounts = ours
        .iter()
        .flat_map(|own| own.container.volume_mounts.iter().flatten());
    let volumes = mounts.filter(|mount| is_our_name(&mount.name));
    if ours
        .iter()
        .any(|own| content_of_others(own.container).next().is_some())
    {
        return Err(InternalError::NoStatus);
    }
    let trusts = |container: &&Container| {
        let env = container.env.as_deref().unwrap_or_default();
        SAFE_DIRECTORY.iter().all(|(name, value)| {
            let mut env = env.iter();
            env.any(|own| own.name == *name && own.value.as_deref() == Some(*value))
        })
    };
    let containers = reader::all(spec).map(|reader| reader.container);
    let trusting = containers.filter(trusts);
    Ok(Status::inferred(
        volumes.map(|own| own.name.clone()).collect(),
        trusting.map(|own| own.name.clone()).collect(),
    ))
}

fn take_out(
    recorder: &mut Recorder,
    spec: &PodSpec,
    ours: &[Reader<'_>],
    status: &Status,
    annotations: Option<&Map<String, Value>>,
) -> Result<(), InternalError> {
    let mounts: Vec<&VolumeMount> = ours
        .iter()
        .flat_map(|own| own.container.volume_mounts.iter().flatten())
        .collect();
    // Where a mount was removed by hand, the name alone decides.
    let is_added = |name: &str| {
        let is_mounted = mounts.iter().any(|own| own.name == name);
        status.volumes.iter().any(|own| own == name) && (is_mounted || is_our_name(name))
    };
    let is_content = |name: &str| {
        let mut own = mounts.iter().filter(|own| own.name == name);
        let is_published = own.any(|own| own.mount_path.starts_with(paths::CONTENT));
        is_added(name) && (is_published || name.starts_with("gitvolume-content"))
    };
    let choice = Choice {
        applied_object: Some(&status.objects),
        ..Choice::default()
    };
    let requests = annotations::read(annotations, choice).requests(&[]).0;
    let is_plain = |mount: &VolumeMount| {
        let plain = VolumeMount {
            name: mount.name.clone(),
            mount_path: mount.mount_path.clone(),
            read_only: mount.read_only,
            sub_path: mount.sub_path.clone(),
            ..VolumeMount::default()
        };
        let is_whole = mount
            .sub_path
            .as_deref()
            .is_none_or(|own| own == paths::TREE);
        *mount == plain && is_whole
    };
    let is_requested = |mount: &VolumeMount| {
        let is_here = |own: &Request| {
            own.mount_path.as_str() == mount.mount_path
                && own.sub_path() == mount.sub_path.as_deref()
        };
        is_plain(mount) && requests.iter().any(is_here)
    };
    let is_our_mount = |mount: &VolumeMount| {
        let mut all = reader::all(spec)
            .filter(|reader| !is_ours(reader.container))
            .flat_map(|reader| reader.container.volume_mounts.iter().flatten());
        // Where the annotations are gone or name another path since, everything that looks injected
        // is removed.
        let is_elsewhere = !all.any(|other| other.name == mount.name && is_requested(other));
        is_content(&mount.name) && is_plain(mount) && (is_requested(mount) || is_elsewhere)
    };
    // The volumes that the remaining containers mount.
    let mut used: Vec<&str> = Vec::new();
    for reader in reader::all(spec) {
        if is_ours(reader.container) {
            continue;
        }
        let index = reader.index.to_string();
        let own = ["spec", reader.list.key(), &index];
        let list = path(own.into_iter().chain(["volumeMounts"]));
        let all = reader.container.volume_mounts.as_deref();
        for (index, mount) in all.unwrap_or_default().iter().enumerate().rev() {
            if is_our_mount(mount) {
                recorder.remove_item(&list, index)?
            } else {
                used.push(&mount.name)
            }
        }
        // The index in the Pod before the injection, as in the status.
        let before = ours
            .iter()
            .filter(|own| own.list == reader.list && own.index < reader.index);
        let index = (reader.index - before.count()).to_string();
        let was = |key| {
            let at = path(["spec", reader.list.key(), &index, key]);
            status.empty.get(at.as_str())
        };
        if !all.unwrap_or_default().is_empty() {
            recorder.prune(&list, was("volumeMounts"))?;
        }
        if status.safe_directory.contains(&reader.container.name) {
            remove_safe_directory(recorder, reader.container, &own, was("env"))?;
        }
        let devices = reader.container.volume_devices.iter().flatten();
        used.extend(devices.map(|device| device.name.as_str()));
    }
    let ephemeral = spec.ephemeral_containers.iter().flatten();
    let ephemeral = ephemeral.flat_map(|own| own.volume_mounts.iter().flatten());
    used.extend(ephemeral.map(|mount| mount.name.as_str()));

    for own in ours.iter().rev() {
        recorder.remove_item(&path(["spec", own.list.key()]), own.index)?;
    }
    let inits = path(["spec", List::InitContainers.key()]);
    recorder.prune(&inits, status.empty.get(inits.as_str()))?;
    let lost = volumes(recorder, spec, status, |volume| {
        let is_kind = volume.empty_dir.is_some() || volume.secret.is_some();
        let is_mounted = mounts.iter().any(|own| own.name == volume.name);
        let is_free = is_kind && !used.contains(&volume.name.as_str());
        (is_added(&volume.name) && is_free, is_mounted)
    })?;
    let list = path(["spec", "imagePullSecrets"]);
    let secrets = spec.image_pull_secrets.as_deref().unwrap_or_default();
    for (index, secret) in secrets.iter().enumerate().rev() {
        if status.pull_secrets.contains(&secret.name) {
            recorder.remove_item(&list, index)?;
        }
    }
    if !secrets.is_empty() {
        recorder.prune(&list, status.empty.get(list.as_str()))?;
    }
    let listed = annotations.and_then(|all| all.get(evictable::KEY)?.as_str());
    if let Some(listed) = listed {
        let at = path(["metadata", "annotations"]);
        // A volume that was removed by hand is still in the list.
        let is_gone = |name: &&String| is_our_name(name) && !names(spec).any(|own| own == *name);
        let gone = status.volumes.iter().filter(is_gone);
        let lost = lost.iter().chain(gone).map(String::as_str);
        match evictable::without(listed, status.safe_to_evict.as_deref(), lost) {
            Some(value) => recorder.set_member(&at, evictable::KEY, json!(value))?,
            None => recorder.remove_member(&at, evictable::KEY)?,
        }
    }
    Ok(())
}

/// Removes the added volumes and restores the gitRepo volumes; returns the names of both. `look`
/// decides whether a volume was added, and whether an injected container mounts it.
fn volumes(
    recorder: &mut Recorder,
    spec: &PodSpec,
    status: &Status,
    look: impl Fn(&Volume) -> (bool, bool),
) -> Result<Vec<String>, InternalError> {
    let list = path(["spec", "volumes"]);
    let sources = gitrepo::sources(status, spec);
    let volumes = spec.volumes.as_deref().unwrap_or_default();
    let mut lost = Vec::new();
    for (index, volume) in volumes.iter().enumerate().rev() {
        let (is_added, is_mounted) = look(volume);
        match sources.get(&volume.name) {
            Some(source) if volume.empty_dir.is_some() && is_mounted => {
                let index = index.to_string();
                let at = path(["spec", "volumes", &index]);
                recorder.remove_member(&at, "emptyDir")?;
                recorder.set_member(&at, "gitRepo", json!(source))?;
            }
            _ if is_added => recorder.remove_item(&list, index)?,
            _ => continue,
        }
        lost.push(volume.name.clone());
    }
    if !volumes.is_empty() {
        recorder.prune(&list, status.empty.get(list.as_str()))?;
    }
    Ok(lost)
}

/// Removes the variables that make git in a container trust the repositories.
fn remove_safe_directory(
    recorder: &mut Recorder,
    container: &Container,
    own: &[&str; 3],
    was: Option<&Value>,
) -> Result<(), InternalError> {
    let list = path(own.iter().copied().chain(["env"]));
    let env = container.env.as_deref().unwrap_or_default();
    for (index, variable) in env.iter().enumerate().rev() {
        let is_ours = SAFE_DIRECTORY.iter().any(|(name, value)| {
            variable.name == *name && variable.value.as_deref() == Some(*value)
        });
        if is_ours {
            recorder.remove_item(&list, index)?;
        }
    }
    recorder.prune(&list, was)?;
    Ok(())
}

#[cfg(test)]
mod tests;
