//! Looks at our own patch as the API server will. One that does not apply, or whose outcome is no
//! valid Pod, rejects the Pod even under `failurePolicy: Ignore`
//! (k8s.io/apiserver, admission/plugin/webhook/mutating/dispatcher.go); found here it is our
//! failure, and `failurePolicy` decides.
//!
//! Only what we added is judged: the author's own mistakes are the API server's to report.

use json_patch::Patch;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::core::v1::PodSpec;
use serde::Deserialize;
use serde_json::Value;

use crate::InternalError;
use crate::Plan;
use crate::Quantity;
use crate::reader;

/// Applies the patch to the document, expects what the draft made of it, and reads that as a Pod.
pub(crate) fn applies(
    document: &Value,
    patch: &Patch,
    expected: &Value,
) -> Result<Pod, InternalError> {
    let mut patched = document.clone();
    json_patch::patch(&mut patched, patch)
        .map_err(|error| InternalError::Patch(Box::new(error)))?;
    if patched != *expected {
        return Err(InternalError::Differs);
    }
    Pod::deserialize(&patched).map_err(InternalError::Unreadable)
}

/// Holds what the plan added to the rules of a Pod.
pub(crate) fn is_sound(pod: &Pod, plan: &Plan) -> Result<(), InternalError> {
    let spec = pod_spec(pod)?;
    for volume in &plan.volumes {
        let same = spec
            .volumes
            .iter()
            .flatten()
            .filter(|own| own.name == volume.name);
        require(same.count() == 1, "not one volume", &volume.name)?;
    }
    let inits = spec.init_containers.iter().flatten();
    for syncer in &plan.syncers {
        let name = syncer.name();
        let all = inits.clone().chain(&spec.containers);
        let same = all.filter(|own| own.name == name);
        require(same.count() == 1, "not one container", name)?;
        let added = inits.clone().find(|own| own.name == name);
        let added = added.ok_or_else(|| unsound("no init container", name))?;
        mounts(
            spec,
            added,
            syncer.mounts.iter().map(|mount| mount.path.as_str()),
        )?;
        require(is_restricted(added), "not restricted", name)?;
        quantities(added)?;
    }
    for volume in &plan.git_repos {
        let mut volumes = spec.volumes.iter().flatten();
        let own = volumes.find(|own| own.name == volume.volume);
        let is_converted = own.is_some_and(|own| own.empty_dir.is_some() && own.git_repo.is_none());
        require(is_converted, "not converted", &volume.volume)?;
    }
    for consumer in &plan.consumers {
        // Ours may stand before it by now.
        let own = reader::all(spec)
            .find(|reader| reader.list == consumer.list && reader.container.name == consumer.name);
        let own = own.ok_or_else(|| unsound("no container", &consumer.name))?;
        mounts(
            spec,
            own.container,
            consumer.mounts.iter().map(|mount| mount.path.as_str()),
        )?;
    }
    Ok(())
}

fn pod_spec(pod: &Pod) -> Result<&PodSpec, InternalError> {
    pod.spec.as_ref().ok_or_else(|| unsound("no spec", ""))
}

/// Each of our mounts is alone at its path, and of a volume that exists.
fn mounts<'a>(
    spec: &PodSpec,
    container: &Container,
    ours: impl Iterator<Item = &'a str>,
) -> Result<(), InternalError> {
    for path in ours {
        let mut here = container
            .volume_mounts
            .iter()
            .flatten()
            .filter(|mount| mount.mount_path == path);
        let volume = here.next().map(|mount| &mount.name);
        require(
            volume.is_some() && here.next().is_none(),
            "not one mount",
            path,
        )?;
        let exists = |name: &String| spec.volumes.iter().flatten().any(|own| own.name == *name);
        require(volume.is_some_and(exists), "no volume for the mount", path)?;
    }
    Ok(())
}

/// The per-container fields of the *restricted* level
/// (<https://kubernetes.io/docs/concepts/security/pod-security-standards/>).
fn is_restricted(container: &Container) -> bool {
    container.security_context.as_ref().is_some_and(|own| {
        let drop = own
            .capabilities
            .as_ref()
            .and_then(|own| own.drop.as_deref());
        own.allow_privilege_escalation == Some(false)
            && drop.is_some_and(|drop| drop.iter().any(|capability| capability == "ALL"))
            && own.privileged != Some(true)
            && own.run_as_non_root == Some(true)
            && own.run_as_user != Some(0)
            && own
                .seccomp_profile
                .as_ref()
                .is_some_and(|own| own.type_ == "RuntimeDefault")
    })
}

fn quantities(container: &Container) -> Result<(), InternalError> {
    let resources = container.resources.as_ref();
    let requests = resources
        .and_then(|own| own.requests.as_ref())
        .into_iter()
        .flatten();
    let limits = resources.and_then(|own| own.limits.as_ref());
    let read = |text: &str| {
        text.parse::<Quantity>()
            .map_err(|_| unsound("no quantity", text))
    };
    for (_, limit) in limits.into_iter().flatten() {
        read(&limit.0)?;
    }
    for (name, request) in requests {
        let request = read(&request.0)?;
        if let Some(limit) = limits.and_then(|limits| limits.get(name)) {
            require(request <= read(&limit.0)?, "request above limit", name)?;
        }
    }
    Ok(())
}

fn require(holds: bool, what: &str, name: &str) -> Result<(), InternalError> {
    if holds {
        Ok(())
    } else {
        Err(unsound(what, name))
    }
}

fn unsound(what: &str, name: &str) -> InternalError {
    InternalError::Unsound(format!("{what} {name:?}"))
}

#[cfg(test)]
mod tests;
