use serde_json::Value;

use crate::InternalError;
use crate::Plan;
use crate::Settings;
use crate::draft::Draft;
use crate::draft::path;
use crate::status::Status;

/// Writes a plan into a Pod.
pub(crate) fn inject(
    draft: &mut Draft,
    plan: &Plan,
    settings: &Settings,
) -> Result<(), InternalError> {
    let volumes = path(["spec", "volumes"]);
    for volume in &plan.volumes {
        draft.append(&volumes, volume.to_json())?;
    }
    let init_containers = path(["spec", "initContainers"]);
    for (offset, container) in plan.containers.iter().enumerate() {
        let index = plan.position + offset;
        draft.insert(&init_containers, index, container.to_json(settings))?;
    }
    for consumer in &plan.consumers {
        let index = consumer.index.to_string();
        let mounts = path(["spec", "containers", &index, "volumeMounts"]);
        for mount in &consumer.mounts {
            draft.append(&mounts, mount.to_json())?;
        }
    }
    note(draft, &Status::of_plan(plan, settings))
}

/// Writes the status annotation.
pub(crate) fn note(draft: &mut Draft, status: &Status) -> Result<(), InternalError> {
    let annotations = path(["metadata", "annotations"]);
    draft.set(
        &annotations,
        &Status::key(),
        Value::String(status.to_text()),
    )
}
