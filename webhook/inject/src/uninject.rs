//! Takes an injection out of a Pod again: what we added, and nothing of the author's. What is ours
//! is told by what it is; the status says only which of it was there before us.

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
use crate::annotations;
use crate::check;
use crate::draft::Draft;
use crate::evictable;
use crate::gitrepo;
use crate::injected::has_our_names;
use crate::injected::is_ours;
use crate::objects::Choice;
use crate::operations::path;
use crate::plan::SAFE_DIRECTORY;
use crate::reader;
use crate::reader::List;
use crate::reader::Reader;
use crate::status::Status;
use crate::typed;

/// Makes the patch that takes an injection back: our containers, by name and program; the volumes
/// of theirs that the status names, where nothing else uses them, and their mounts; what git in
/// the Pod's containers was told; pull secrets; the autoscaler's list; and the status. What was a
/// gitRepo volume is one again, in its place. `None` where nothing of ours is there.
///
/// For a Pod that is not changed in between, `uninject` of an injected Pod is the Pod; a list or
/// map that is left empty is taken away. An error means that the object is no Pod that we can read.
pub fn uninject(pod: &Value) -> Result<Option<Patch>, InternalError> {
    let annotations = pod
        .pointer("/metadata/annotations")
        .and_then(Value::as_object);
    let status = Status::read(annotations);
    let is_written = |key: &&str| annotations.is_some_and(|all| all.contains_key(*key));
    if !Status::KEYS.iter().any(is_written) && !has_our_names(pod) {
        return Ok(None);
    }
    let spec = match &pod["spec"] {
        Value::Null => PodSpec::default(),
        spec => typed::read(spec).map_err(InternalError::Unreadable)?,
    };
    let mut draft = Draft::new(pod);
    // In whichever list an edit by hand has put them.
    let ours: Vec<Reader<'_>> = reader::all(&spec)
        .filter(|reader| is_ours(reader.container))
        .collect();
    let status = match status {
        Some(status) if !ours.is_empty() && status.names_nothing() => inferred(&spec, &ours)?,
        None if !ours.is_empty() => inferred(&spec, &ours)?,
        status => status.unwrap_or_default(),
    };
    // Anybody can write a status: without one of our containers only what has a name that we give
    // is ours, and what was a gitRepo volume stays what it is. Where another container has the name of
    // ours, nothing is.
    let is_left = || {
        let mut volumes = status.volumes.iter();
        volumes.any(|name| is_our_name(name)) && !has_our_names(pod)
    };
    if !ours.is_empty() || is_left() {
        take_out(&mut draft, &spec, &ours, &status, annotations)?;
    }
    let at = path(["metadata", "annotations"]);
    if annotations.is_some() {
        for key in Status::KEYS {
            draft.remove(&at, key)?;
        }
        draft.prune(&at);
    }
    let (working, patch) = draft.finish();
    if patch.is_empty() {
        return Ok(None);
    }
    check::applies(pod, &patch, &working)?;
    Ok(Some(patch))
}

/// How the names of the volumes that we add begin.
const VOLUMES: &str = "gitvolume-";

fn is_our_name(volume: &str) -> bool {
    volume.starts_with(VOLUMES)
}

/// What the status said, as far as the Pod shows it: what has a name that we give. What was a
/// gitRepo volume, nothing shows.
fn inferred(spec: &PodSpec, ours: &[Reader<'_>]) -> Result<Status, InternalError> {
    let mounts = ours
        .iter()
        .flat_map(|own| own.container.volume_mounts.iter().flatten());
    let (volumes, others): (Vec<&VolumeMount>, Vec<&VolumeMount>) =
        mounts.partition(|mount| is_our_name(&mount.name));
    let is_content = |mount: &&VolumeMount| mount.mount_path.starts_with(paths::CONTENT);
    if others.iter().any(is_content) {
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
        volumes.iter().map(|own| own.name.clone()).collect(),
        trusting.map(|own| own.name.clone()).collect(),
    ))
}

fn take_out(
    draft: &mut Draft,
    spec: &PodSpec,
    ours: &[Reader<'_>],
    status: &Status,
    annotations: Option<&Map<String, Value>>,
) -> Result<(), InternalError> {
    let mounts: Vec<&VolumeMount> = ours
        .iter()
        .flat_map(|own| own.container.volume_mounts.iter().flatten())
        .collect();
    // Where a mount of ours was removed by hand, the name alone tells.
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
        taken: Some(&status.objects),
        ..Choice::default()
    };
    let asked = annotations::read(annotations, choice).requests(&[]).0;
    let is_plain = |mount: &VolumeMount| {
        let plain = VolumeMount {
            name: mount.name.clone(),
            mount_path: mount.mount_path.clone(),
            read_only: mount.read_only,
            ..VolumeMount::default()
        };
        *mount == plain
    };
    let is_asked = |mount: &VolumeMount| {
        let mut asked = asked.iter();
        is_plain(mount) && asked.any(|own| own.mount_path.as_str() == mount.mount_path)
    };
    let is_our_mount = |mount: &VolumeMount| {
        let mut all = reader::all(spec)
            .filter(|reader| !is_ours(reader.container))
            .flat_map(|reader| reader.container.volume_mounts.iter().flatten());
        // Where the annotations are gone, or tell of another place since, what looks like ours is.
        let is_elsewhere = !all.any(|other| other.name == mount.name && is_asked(other));
        is_content(&mount.name) && is_plain(mount) && (is_asked(mount) || is_elsewhere)
    };
    // What is left mounts these.
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
            match is_our_mount(mount) {
                true => draft.take(&list, index)?,
                false => used.push(&mount.name),
            }
        }
        if !all.unwrap_or_default().is_empty() {
            draft.prune(&list);
        }
        if status.safe_directory.contains(&reader.container.name) {
            distrust(draft, reader.container, &own)?;
        }
        let devices = reader.container.volume_devices.iter().flatten();
        used.extend(devices.map(|device| device.name.as_str()));
    }
    let ephemeral = spec.ephemeral_containers.iter().flatten();
    let ephemeral = ephemeral.flat_map(|own| own.volume_mounts.iter().flatten());
    used.extend(ephemeral.map(|mount| mount.name.as_str()));

    for own in ours.iter().rev() {
        draft.take(&path(["spec", own.list.key()]), own.index)?;
    }
    draft.prune(&path(["spec", List::InitContainers.key()]));
    let lost = volumes(draft, spec, status, |volume| {
        let is_kind = volume.empty_dir.is_some() || volume.secret.is_some();
        let is_mounted = mounts.iter().any(|own| own.name == volume.name);
        Found {
            is_added: is_added(&volume.name) && is_kind && !used.contains(&volume.name.as_str()),
            is_mounted,
        }
    })?;
    let list = path(["spec", "imagePullSecrets"]);
    let secrets = spec.image_pull_secrets.as_deref().unwrap_or_default();
    for (index, secret) in secrets.iter().enumerate().rev() {
        if status.pull_secrets.contains(&secret.name) {
            draft.take(&list, index)?;
        }
    }
    if !secrets.is_empty() {
        draft.prune(&list);
    }
    let listed = annotations.and_then(|all| all.get(evictable::KEY)?.as_str());
    if let Some(listed) = listed {
        let at = path(["metadata", "annotations"]);
        let lost = lost.iter().map(String::as_str);
        match evictable::without(listed, status.safe_to_evict.as_deref(), lost) {
            Some(value) => draft.set(&at, evictable::KEY, json!(value))?,
            None => draft.remove(&at, evictable::KEY)?,
        }
    }
    Ok(())
}

struct Found {
    is_added: bool,
    is_mounted: bool,
}

/// Removes the added volumes and restores the gitRepo volumes; gives the names of both.
fn volumes(
    draft: &mut Draft,
    spec: &PodSpec,
    status: &Status,
    look: impl Fn(&Volume) -> Found,
) -> Result<Vec<String>, InternalError> {
    let list = path(["spec", "volumes"]);
    let sources = gitrepo::sources(status, spec);
    let volumes = spec.volumes.as_deref().unwrap_or_default();
    let mut lost = Vec::new();
    for (index, volume) in volumes.iter().enumerate().rev() {
        let found = look(volume);
        match sources.get(&volume.name) {
            Some(source) if volume.empty_dir.is_some() && found.is_mounted => {
                let index = index.to_string();
                let at = path(["spec", "volumes", &index]);
                draft.remove(&at, "emptyDir")?;
                draft.set(&at, "gitRepo", json!(source))?;
            }
            _ if found.is_added => draft.take(&list, index)?,
            _ => continue,
        }
        lost.push(volume.name.clone());
    }
    if !volumes.is_empty() {
        draft.prune(&list);
    }
    Ok(lost)
}

/// Removes what told git in a container to trust our repositories.
fn distrust(
    draft: &mut Draft,
    container: &Container,
    own: &[&str; 3],
) -> Result<(), InternalError> {
    let list = path(own.iter().copied().chain(["env"]));
    let env = container.env.as_deref().unwrap_or_default();
    for (index, variable) in env.iter().enumerate().rev() {
        let is_ours = SAFE_DIRECTORY.iter().any(|(name, value)| {
            variable.name == *name && variable.value.as_deref() == Some(*value)
        });
        if is_ours {
            draft.take(&list, index)?;
        }
    }
    draft.prune(&list);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Namespace;
    use crate::Review;
    use crate::Settings;
    use crate::answer;

    fn patched(mut pod: Value, patch: Option<Patch>) -> Value {
        json_patch::patch(&mut pod, &patch.unwrap_or_default()).unwrap();
        pod
    }

    fn injected(pod: &Value, settings: &Settings) -> Value {
        let review = Review::of_pod(pod.clone());
        let answer = answer(&review, settings, &Namespace::default()).unwrap();
        assert!(answer.patch.is_some(), "{:?}", answer.outcome);
        patched(pod.clone(), answer.patch)
    }

    fn undone(pod: &Value) -> Value {
        patched(pod.clone(), uninject(pod).unwrap())
    }

    fn pod() -> Value {
        json!({
            "metadata": {"annotations": {
                "gitvolume.dev/repo": "https://git.example/a.git",
                "gitvolume.dev/secret": "keys",
                "gitvolume.dev/link": "current",
                "gitvolume.dev/safe-directory": "true",
                "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes": "cache, html",
            }},
            "spec": {
                "imagePullSecrets": [{"name": "mine"}],
                "volumes": [
                    {"name": "html", "gitRepo": {"repository": "https://u:p@git.example/b.git"}},
                    {"name": "cache", "emptyDir": {}},
                ],
                "initContainers": [{"name": "first"}],
                "containers": [{
                    "name": "app",
                    "env": [{"name": "A", "value": "b"}],
                    "volumeMounts": [{"name": "html", "mountPath": "/html"}],
                }],
            },
        })
    }

    #[test]
    fn what_was_there_before_is_there_again_to_the_byte() {
        let mut settings = Settings::new("registry.example/syncer:1");
        settings.image_pull_secrets = vec!["mine".to_owned(), "theirs".to_owned()];
        let pod = pod();
        let after = injected(&pod, &settings);
        assert_eq!(after["spec"]["imagePullSecrets"][1]["name"], "theirs");
        assert_eq!(undone(&after), pod);
        assert_eq!(uninject(&pod).unwrap(), None);
    }

    #[test]
    fn what_others_added_since_stays() {
        let settings = Settings::new("registry.example/syncer:1");
        let mut after = injected(&pod(), &settings);
        let mount = json!({"name": "gitvolume-content", "mountPath": "/own", "subPath": "x"});
        let mounts = after.pointer_mut("/spec/containers/0/volumeMounts");
        mounts.unwrap().as_array_mut().unwrap().push(mount.clone());
        let containers = after["spec"]["containers"].as_array_mut().unwrap();
        containers.push(json!({"name": "proxy"}));
        after["metadata"]["annotations"][evictable::KEY] =
            json!("cache,html,gitvolume-state,theirs");
        let undone = undone(&after);
        assert_eq!(
            undone["spec"]["containers"][0]["volumeMounts"],
            json!([{"name": "html", "mountPath": "/html"}, mount])
        );
        assert_eq!(undone["spec"]["containers"][1]["name"], "proxy");
        let volumes = undone["spec"]["volumes"].as_array().unwrap();
        let names: Vec<&str> = volumes
            .iter()
            .filter_map(|own| own["name"].as_str())
            .collect();
        assert_eq!(names, ["html", "cache", "gitvolume-content"]);
        assert_eq!(
            undone["metadata"]["annotations"][evictable::KEY],
            "cache,html,theirs"
        );
    }

    #[test]
    fn a_status_alone_takes_nothing_of_the_authors() {
        let status = r#"{"volumes":["data"],"gitRepos":{"data":{"repository":"https://x/y"}}}"#;
        let pod = json!({
            "metadata": {"annotations": {"gitvolume.dev/status": status}},
            "spec": {
                "volumes": [{"name": "data", "emptyDir": {}}],
                "initContainers": [{"name": "gitvolume", "command": ["/own"]}],
                "containers": [{"name": "app"}],
            },
        });
        let undone = undone(&pod);
        assert_eq!(undone["spec"], pod["spec"]);
        assert_eq!(undone["metadata"], json!({}));
    }
}
