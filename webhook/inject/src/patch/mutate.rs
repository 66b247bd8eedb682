use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodSpec;
use serde_json::Value;
use serde_json::json;

use crate::InternalError;
use crate::Key;
use crate::Plan;
use crate::Settings;
use crate::model::volume::Source;
use crate::patch::recorder::Recorder;
use crate::patch::recorder::path;
use crate::plan::injected;
use crate::pod::evictable;
use crate::sources::objects::AppliedObject;
use crate::sources::status::Status;

/// Writes a plan into a Pod.
pub(crate) fn inject(
    recorder: &mut Recorder,
    pod: &PodSpec,
    plan: &Plan,
    status: Option<&Status>,
    settings: &Settings,
) -> Result<(), InternalError> {
    let empty = empty(recorder, plan);
    for volume in &plan.git_repos {
        let index = volume.index.to_string();
        let source = Source::Empty {
            medium: volume.medium,
            size_limit: volume.size_limit.clone(),
        };
        let volume = path(["spec", "volumes", &index]);
        recorder.remove_member(&volume, "gitRepo")?;
        recorder.set_member(&volume, "emptyDir", source.empty_dir())?;
    }
    let volumes = path(["spec", "volumes"]);
    for volume in &plan.volumes {
        recorder.append(&volumes, volume.to_json())?;
    }
    // Before init containers are added: the indexes are those of the original Pod.
    for consumer in &plan.consumers {
        let index = consumer.index.to_string();
        let own = ["spec", consumer.list.key(), &index];
        let mounts = path(own.into_iter().chain(["volumeMounts"]));
        for mount in &consumer.mounts {
            recorder.append(&mounts, mount.to_json())?;
        }
        let env = path(own.into_iter().chain(["env"]));
        for (name, value) in &consumer.env {
            recorder.append(&env, json!({"name": name, "value": value}))?;
        }
    }
    let init_containers = path(["spec", "initContainers"]);
    for (offset, syncer) in plan.syncers.iter().enumerate() {
        let index = syncer.position.index + offset;
        recorder.insert(&init_containers, index, syncer.to_json(settings))?;
    }
    let pull_secrets = path(["spec", "imagePullSecrets"]);
    for name in &plan.pull_secrets {
        recorder.append(&pull_secrets, json!({"name": name}))?;
    }
    let mut safe_to_evict = None;
    if let Some(names) = &plan.evictable {
        let before = path(["metadata", "annotations", evictable::KEY]);
        let before = recorder.value(&before).and_then(Value::as_str);
        safe_to_evict = before.map(str::to_owned);
        recorder.ensure_map(&path(["metadata"]))?;
        let annotations = path(["metadata", "annotations"]);
        recorder.set_member(&annotations, evictable::KEY, json!(names))?;
    }
    let names = injected::names(pod, plan.syncers.iter().map(|own| own.name()));
    let status = Status::of_plan(plan, status, (safe_to_evict, empty), settings);
    list(recorder, names)?;
    note(recorder, &status)
}

/// The lists that the plan adds to and that the Pod has without items, for the status. The API
/// server omits such lists; `uninject` restores them in a manifest.
fn empty(recorder: &Recorder, plan: &Plan) -> BTreeMap<String, Value> {
    let spec = |key: &str| path(["spec", key]);
    let mut lists = Vec::new();
    lists.extend((!plan.volumes.is_empty()).then(|| spec("volumes")));
    lists.extend((!plan.syncers.is_empty()).then(|| spec("initContainers")));
    lists.extend((!plan.pull_secrets.is_empty()).then(|| spec("imagePullSecrets")));
    for consumer in &plan.consumers {
        let index = consumer.index.to_string();
        let own = |key| path(["spec", consumer.list.key(), &index, key]);
        lists.extend((!consumer.mounts.is_empty()).then(|| own("volumeMounts")));
        lists.extend((!consumer.env.is_empty()).then(|| own("env")));
    }
    let was = lists.into_iter().filter_map(|list| {
        let value = recorder.value(&list)?;
        let is_empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        is_empty.then(|| (list.to_string(), value.clone()))
    });
    was.collect()
}

/// Writes the status annotation.
fn note(recorder: &mut Recorder, status: &Status) -> Result<(), InternalError> {
    annotate(recorder, Status::KEY, status.to_text())
}

/// Writes the annotation that lists the injected containers, for the guard.
pub(crate) fn list(recorder: &mut Recorder, names: String) -> Result<(), InternalError> {
    annotate(recorder, Key::Injected.annotation(), names)
}

/// Writes into the status why a Pod has no injected container.
pub(crate) fn explain_absence(
    recorder: &mut Recorder,
    status: &Status,
) -> Result<(), InternalError> {
    list(recorder, injected::NONE.to_owned())?;
    note(recorder, status)
}

fn annotate(recorder: &mut Recorder, key: &str, text: String) -> Result<(), InternalError> {
    // A template in a manifest may have no metadata; the API server always sends some.
    recorder.ensure_map(&path(["metadata"]))?;
    let annotations = path(["metadata", "annotations"]);
    recorder.set_member(&annotations, key, Value::String(text))
}

impl Status {
    /// The status of a plan: everything that was added now and by an earlier call, the Pod's
    /// annotation for the cluster autoscaler, and which of its lists are empty.
    pub(crate) fn of_plan(
        plan: &Plan,
        before: Option<&Self>,
        (safe_to_evict, empty): (Option<String>, BTreeMap<String, Value>),
        settings: &Settings,
    ) -> Self {
        let empty = match before {
            Some(before) => before.empty.clone(),
            None => empty,
        };
        let safe_to_evict = safe_to_evict.filter(|_| before.is_none());
        let before = before.cloned().unwrap_or_default();
        let mut status = Self {
            containers: before.containers,
            empty,
            git_repos: before.git_repos,
            objects: plan
                .objects
                .iter()
                .map(|own| AppliedObject::of(own))
                .collect(),
            pull_secrets: before.pull_secrets,
            safe_directory: before.safe_directory,
            safe_to_evict: before.safe_to_evict.or(safe_to_evict),
            volumes: before.volumes,
            ..Self::of(settings)
        };
        status
            .containers
            .extend(plan.syncers.iter().map(|own| own.name().to_owned()));
        status.git_repos.extend(plan.replaced.clone());
        status.pull_secrets.extend(plan.pull_secrets.clone());
        let trusting = plan.consumers.iter().filter(|own| !own.env.is_empty());
        status
            .safe_directory
            .extend(trusting.map(|own| own.name.clone()));
        status
            .volumes
            .extend(plan.volumes.iter().map(|own| own.name.clone()));
        status
    }
}
