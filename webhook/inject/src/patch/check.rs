//! The self-check of a patch, by the rules of the API server. A patch that does not apply, or that
//! produces an invalid Pod, rejects the Pod even under `failurePolicy: Ignore` (k8s.io/apiserver,
//! admission/plugin/webhook/mutating/dispatcher.go); detected here it is the webhook's own failure,
//! and `failurePolicy` decides.
//!
//! Only added parts are checked: the author's own mistakes are the API server's to report.

use args::is_label;
use args::paths;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::api::core::v1::Volume;
use serde_json::Value;

use crate::InternalError;
use crate::Plan;
use crate::Quantity;
use crate::keys::key;
use crate::pod::document;
use crate::pod::reader;
use crate::pod::reader::List;
use crate::pod::typed;

/// Decodes the patched Pod, and checks everything that the plan added against the rules for Pods.
pub(crate) fn is_sound(
    mut patched: Value,
    before: &PodSpec,
    plan: &Plan,
) -> Result<(), InternalError> {
    let annotations = document::annotations(&patched);
    for key in key::WRITTEN {
        let text = annotations.and_then(|all| all.get(key)?.as_str());
        require(text.is_some(), "no text in annotation", key)?;
    }
    let spec: PodSpec = match patched["spec"].take() {
        Value::Null => return Err(unsound("no field", "spec")),
        spec => typed::take(spec).map_err(InternalError::Unreadable)?,
    };
    let spec = &spec;
    keeps_its_items(before, spec, plan)?;
    for volume in &plan.volumes {
        let volumes = spec.volumes.iter().flatten();
        let same = volumes.filter(|other| other.name == volume.name);
        let same: Vec<&Volume> = same.collect();
        require(
            same.len() == 1,
            "volume missing or duplicated",
            &volume.name,
        )?;
        require(
            same.iter().all(|own| is_fit(own)),
            "invalid volume",
            &volume.name,
        )?;
    }
    let inits = || spec.init_containers.iter().flatten();
    for syncer in &plan.syncers {
        let name = syncer.name();
        let all = inits().chain(&spec.containers);
        let same = all.filter(|own| own.name == name);
        require(same.count() == 1, "container missing or duplicated", name)?;
        let added = inits().find(|own| own.name == name);
        let added = added.ok_or_else(|| unsound("init container missing", name))?;
        mounts(
            spec,
            added,
            syncer.mounts.iter().map(|mount| mount.path.as_str()),
        )?;
        require(
            is_restricted(added),
            "container violates the Pod Security Standard restricted:",
            name,
        )?;
        require(is_whole(added), "invalid container", name)?;
        quantities(added)?;
        variables(added, None)?;
        let at = inits().position(|own| own.name == name);
        starts_first(spec, added, at.unwrap_or_default())?;
    }
    for volume in &plan.git_repos {
        let mut volumes = spec.volumes.iter().flatten();
        let own = volumes.find(|own| own.name == volume.volume);
        let is_converted = own.is_some_and(|own| own.empty_dir.is_some() && own.git_repo.is_none());
        require(
            is_converted,
            "gitRepo volume not converted:",
            &volume.volume,
        )?;
    }
    for consumer in &plan.consumers {
        // Injected init containers may precede it by now.
        let mut list = reader::all(spec).filter(|reader| reader.list == consumer.list);
        let own = list.find(|reader| reader.container.name == consumer.name);
        let own = own.map(|reader| reader.container);
        let own = own.ok_or_else(|| unsound("container missing", &consumer.name))?;
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

/// Checks that the author's volumes and containers are still present, in their order, each once.
fn keeps_its_items(before: &PodSpec, after: &PodSpec, plan: &Plan) -> Result<(), InternalError> {
    // A container may have the name of an added volume.
    let is_added = |list: Option<List>, name: &str| match list {
        None => plan.volumes.iter().any(|volume| volume.name == name),
        Some(_) => plan.syncers.iter().any(|syncer| syncer.name() == name),
    };
    let kept = names(after).filter(|(list, name)| !is_added(*list, name));
    require(kept.eq(names(before)), "other items than before in", "spec")
}

/// The names of volumes and containers, each with its list.
fn names(spec: &PodSpec) -> impl Iterator<Item = (Option<List>, &str)> {
    let volumes = spec.volumes.iter().flatten();
    let volumes = volumes.map(|volume| (None, volume.name.as_str()));
    let containers = reader::all(spec);
    volumes.chain(containers.map(|reader| (Some(reader.list), reader.container.name.as_str())))
}

/// Whether an added volume is an emptyDir or a Secret: the *restricted* level allows both.
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

/// Whether an init container has probes and ports only as a sidecar. The API server rejects probes
/// in other init containers (k8s.io/kubernetes, pkg/apis/core/validation:
/// `validateInitContainers`), and those do not run long enough to have ports.
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

/// Checks that each added variable is present once: of two with one name, the last one would take
/// effect.
fn variables(container: &Container, ours: Option<&[&str]>) -> Result<(), InternalError> {
    let names = || container.env.iter().flatten().map(|own| own.name.as_str());
    let is_ours = |name: &&str| ours.is_none_or(|ours| ours.contains(name));
    for name in names().filter(is_ours) {
        let same = names().filter(|other| *other == name).count();
        require(
            same == 1,
            "environment variable missing or duplicated",
            name,
        )?;
    }
    let is_there = |name: &&str| names().any(|own| own == *name);
    match ours.into_iter().flatten().find(|name| !is_there(name)) {
        Some(name) => Err(unsound("environment variable missing", name)),
        None => Ok(()),
    }
}

/// Checks that no init container reads a tree before the syncer has published it: a container that
/// mounts a volume which the syncer writes must start later.
fn starts_first(spec: &PodSpec, syncer: &Container, at: usize) -> Result<(), InternalError> {
    let contents: Vec<&str> = syncer
        .volume_mounts
        .iter()
        .flatten()
        .filter(|mount| mount.mount_path.starts_with(paths::CONTENT))
        .map(|mount| mount.name.as_str())
        .collect();
    let earlier = spec.init_containers.iter().flatten().take(at);
    for own in earlier {
        let mut mounts = own.volume_mounts.iter().flatten();
        let reads = mounts.any(|mount| contents.contains(&mount.name.as_str()));
        require(
            !reads,
            "container that mounts the files starts before the syncer:",
            &own.name,
        )?;
    }
    Ok(())
}

/// Checks that each added mount is alone at its path and refers to an existing volume.
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
            "mount missing or duplicated",
            path,
        )?;
        let mut volumes = spec.volumes.iter().flatten();
        let exists = |name: &String| volumes.any(|volume| volume.name == *name);
        require(volume.is_some_and(exists), "mount without a volume", path)?;
    }
    Ok(())
}

/// Whether a container has the per-container fields of the *restricted* level
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
            .map_err(|_| unsound("invalid quantity", text))
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
