use k8s_openapi::api::core::v1::PodSpec;
use serde_json::Value;
use serde_json::json;

use crate::InternalError;
use crate::Plan;
use crate::Settings;
use crate::evictable;
use crate::injected;
use crate::operations::path;
use crate::recorder::Recorder;
use crate::status::Status;
use crate::volume::Source;

/// Writes a plan into a Pod.
pub(crate) fn inject(
    draft: &mut Recorder<'_>,
    pod: &PodSpec,
    plan: &Plan,
    status: Option<&Status>,
    settings: &Settings,
) -> Result<(), InternalError> {
    for volume in &plan.git_repos {
        let index = volume.index.to_string();
        let source = Source::Empty {
            medium: volume.medium,
            size_limit: volume.size_limit.clone(),
        };
        let volume = path(["spec", "volumes", &index]);
        draft.remove(&volume, "gitRepo")?;
        draft.set(&volume, "emptyDir", source.empty_dir())?;
    }
    let volumes = path(["spec", "volumes"]);
    for volume in &plan.volumes {
        draft.append(&volumes, volume.to_json())?;
    }
    // Before ours are put in: the places of the init containers are those of the Pod as it came.
    for consumer in &plan.consumers {
        let index = consumer.index.to_string();
        let own = ["spec", consumer.list.key(), &index];
        let mounts = path(own.into_iter().chain(["volumeMounts"]));
        for mount in &consumer.mounts {
            draft.append(&mounts, mount.to_json())?;
        }
        let env = path(own.into_iter().chain(["env"]));
        for (name, value) in &consumer.env {
            draft.append(&env, json!({"name": name, "value": value}))?;
        }
    }
    let init_containers = path(["spec", "initContainers"]);
    for (offset, syncer) in plan.syncers.iter().enumerate() {
        let index = syncer.position + offset;
        draft.insert(&init_containers, index, syncer.to_json(settings))?;
    }
    let pull_secrets = path(["spec", "imagePullSecrets"]);
    for name in &plan.pull_secrets {
        draft.append(&pull_secrets, json!({"name": name}))?;
    }
    let mut safe_to_evict = None;
    if let Some(names) = &plan.evictable {
        let before = path(["metadata", "annotations", evictable::KEY]);
        safe_to_evict = draft.text(&before);
        draft.ensure("metadata");
        let annotations = path(["metadata", "annotations"]);
        draft.set(&annotations, evictable::KEY, json!(names))?;
    }
    let names = injected::names(pod, plan.syncers.iter().map(|own| own.name()));
    let status = Status::of_plan(plan, status, safe_to_evict, settings);
    list(draft, names)?;
    note(draft, &status)
}

/// Writes the status annotation.
fn note(draft: &mut Recorder<'_>, status: &Status) -> Result<(), InternalError> {
    annotate(draft, Status::KEY, status.to_text())
}

/// Writes the annotation that lists our containers, for the guard.
pub(crate) fn list(draft: &mut Recorder<'_>, names: String) -> Result<(), InternalError> {
    annotate(draft, injected::KEY, names)
}

/// Writes why a Pod has no container of ours.
pub(crate) fn explain_absence(
    draft: &mut Recorder<'_>,
    status: &Status,
) -> Result<(), InternalError> {
    list(draft, injected::NONE.to_owned())?;
    note(draft, status)
}

fn annotate(draft: &mut Recorder<'_>, key: &str, text: String) -> Result<(), InternalError> {
    // A template in a manifest may have none at all; the API server always sends some.
    draft.ensure("metadata");
    let annotations = path(["metadata", "annotations"]);
    draft.set(&annotations, key, Value::String(text))
}
