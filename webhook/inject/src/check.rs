//! Looks at our own patch as the API server will. One that does not apply, or whose outcome is no
//! valid Pod, rejects the Pod even under `failurePolicy: Ignore`
//! (k8s.io/apiserver, admission/plugin/webhook/mutating/dispatcher.go); found here it is our
//! failure, and `failurePolicy` decides.
//!
//! Only what we added is judged: the author's own mistakes are the API server's to report.

use args::is_label;
use args::paths;
use json_patch::Patch;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::api::core::v1::Volume;
use serde_json::Value;

use crate::InternalError;
use crate::Plan;
use crate::Quantity;
use crate::part::After;
use crate::part::Patched;
use crate::reader::List;

/// Applies the patch to a copy of the document, and expects what the draft made of it.
pub(crate) fn applies(
    document: &Value,
    patch: &Patch,
    expected: &Value,
) -> Result<(), InternalError> {
    let mut patched = document.clone();
    // "Unsafe" is to keep a document that only half of it was applied to.
    json_patch::patch_unsafe(&mut patched, patch)
        .map_err(|error| InternalError::Patch(Box::new(error)))?;
    match patched == *expected {
        true => Ok(()),
        false => Err(InternalError::Differs),
    }
}

/// Reads what the patch makes of a Pod, and holds what the plan added to the rules of one.
pub(crate) fn is_sound(
    patched: Patched,
    before: &PodSpec,
    plan: &Plan,
) -> Result<(), InternalError> {
    let read = patched.read()?;
    let spec = &read.among(before);
    for volume in &plan.volumes {
        let same = spec.volumes.iter().filter(|own| own.name == volume.name);
        let same: Vec<&&Volume> = same.collect();
        require(same.len() == 1, "not one volume", &volume.name)?;
        require(
            same.iter().all(|own| is_fit(own)),
            "unfit volume",
            &volume.name,
        )?;
    }
    let inits = || spec.init_containers.iter().copied();
    for syncer in &plan.syncers {
        let name = syncer.name();
        let all = inits().chain(spec.containers.iter().copied());
        let same = all.filter(|own| own.name == name);
        require(same.count() == 1, "not one container", name)?;
        let added = inits().find(|own| own.name == name);
        let added = added.ok_or_else(|| unsound("no init container", name))?;
        mounts(
            spec,
            added,
            syncer.mounts.iter().map(|mount| mount.path.as_str()),
        )?;
        require(is_restricted(added), "not restricted", name)?;
        require(is_whole(added), "unfit container", name)?;
        quantities(added)?;
        variables(added, None)?;
        let at = inits().position(|own| own.name == name);
        starts_first(spec, added, at.unwrap_or_default())?;
    }
    for volume in &plan.git_repos {
        let mut volumes = spec.volumes.iter();
        let own = volumes.find(|own| own.name == volume.volume);
        let is_converted = own.is_some_and(|own| own.empty_dir.is_some() && own.git_repo.is_none());
        require(is_converted, "not converted", &volume.volume)?;
    }
    for consumer in &plan.consumers {
        // Ours may stand before it by now.
        let mut list = match consumer.list {
            List::InitContainers => spec.init_containers.iter(),
            List::Containers => spec.containers.iter(),
        };
        let own = list.find(|own| own.name == consumer.name);
        let own = own.ok_or_else(|| unsound("no container", &consumer.name))?;
        mounts(
            spec,
            own,
            consumer.mounts.iter().map(|mount| mount.path.as_str()),
        )?;
        let names: Vec<&str> = consumer.env.iter().map(|(name, _)| *name).collect();
        variables(own, Some(&names))?;
    }
    Ok(())
}

/// Emptied and forgotten with the Pod, or a Secret: what the *restricted* level allows and we add.
fn is_fit(volume: &Volume) -> bool {
    let is_label = volume.name.len() <= 63 && is_label(&volume.name);
    let is_secret = volume.secret.as_ref().is_some_and(|own| {
        let name = own.secret_name.as_deref();
        name.is_some_and(|name| !name.is_empty())
    });
    let size = volume.empty_dir.as_ref().map(|own| &own.size_limit);
    let is_size = |size: &Option<_>| {
        let limit: Option<&k8s_openapi::apimachinery::pkg::api::resource::Quantity> = size.as_ref();
        limit.is_none_or(|limit| limit.0.parse::<Quantity>().is_ok())
    };
    is_label && (is_secret ^ size.is_some()) && size.is_none_or(is_size)
}

/// The API server takes probes in an init container only of a sidecar
/// (k8s.io/kubernetes, pkg/apis/core/validation: `validateInitContainers`), and no other one runs
/// long enough to have ports.
fn is_whole(container: &Container) -> bool {
    let is_sidecar = container.restart_policy.as_deref() == Some("Always");
    let is_port = |port: i32| (1..=65535).contains(&port);
    let mut ports = container.ports.iter().flatten();
    let image = container.image.as_deref();
    image.is_some_and(|image| !image.is_empty() && image.trim() == image)
        && container
            .command
            .as_ref()
            .is_some_and(|own| !own.is_empty())
        && (is_sidecar || container.restart_policy.is_none())
        && (is_sidecar || container.startup_probe.is_none())
        && (is_sidecar || container.ports.is_none())
        && container.lifecycle.is_none()
        && container.liveness_probe.is_none()
        && container.readiness_probe.is_none()
        && ports.all(|port| is_port(port.container_port))
}

/// Each variable of ours is there once: of two, the last one would count.
fn variables(container: &Container, ours: Option<&[&str]>) -> Result<(), InternalError> {
    let names = || container.env.iter().flatten().map(|own| own.name.as_str());
    let is_ours = |name: &&str| ours.is_none_or(|ours| ours.contains(name));
    for name in names().filter(is_ours) {
        let same = names().filter(|other| *other == name).count();
        require(same == 1, "not one variable", name)?;
    }
    let is_there = |name: &&str| names().any(|own| own == *name);
    match ours.into_iter().flatten().find(|name| !is_there(name)) {
        Some(name) => Err(unsound("no variable", name)),
        None => Ok(()),
    }
}

/// No init container reads a tree before the one at this place has made it; whoever mounts a
/// volume that is written here waits for it.
fn starts_first(spec: &After<'_>, syncer: &Container, at: usize) -> Result<(), InternalError> {
    let contents: Vec<&str> = syncer
        .volume_mounts
        .iter()
        .flatten()
        .filter(|mount| mount.mount_path.starts_with(paths::CONTENT))
        .map(|mount| mount.name.as_str())
        .collect();
    let earlier = spec.init_containers.iter().take(at);
    for own in earlier {
        let mut mounts = own.volume_mounts.iter().flatten();
        let reads = mounts.any(|mount| contents.contains(&mount.name.as_str()));
        require(!reads, "a reader before the files", &own.name)?;
    }
    Ok(())
}

/// Each of our mounts is alone at its path, and of a volume that exists.
fn mounts<'a>(
    spec: &After<'_>,
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
        let exists = |name: &String| spec.volumes.iter().any(|own| own.name == *name);
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
        let added = own.capabilities.as_ref().and_then(|own| own.add.as_ref());
        own.allow_privilege_escalation == Some(false)
            && added.is_none_or(Vec::is_empty)
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
