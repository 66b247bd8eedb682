//! Tells whether a Pod has what we would add: on a second call (`reinvocationPolicy: IfNeeded`),
//! or where the manifest was taken from a running Pod.

use args::escape_for_kubelet;
use args::paths;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::PodSpec;

use crate::Mistake;
use crate::Mode;
use crate::PREFIX;
use crate::Request;
use crate::Settings;
use crate::Syncer;
use crate::container::args_for;
use crate::status::Status;
use crate::volume::Volumes;

/// How much of an injection is in a Pod.
#[derive(Debug, PartialEq)]
pub(crate) enum Injected {
    /// None of it.
    No,
    /// A container has our name and other content.
    Other(Mistake),
    /// All of it.
    Yes,
}

/// Judges by content, and only by what makes the injection: program, argv, volumes by what they
/// are, and a reader. Other mutators may rightly change the rest, such as the image (a mirror),
/// the resources (LimitRanger) or further mounts and variables, and it stays theirs.
pub(crate) fn look(
    pod: &PodSpec,
    request: &Request,
    status: Option<&Status>,
    settings: &Settings,
) -> Injected {
    let inits = pod.init_containers.iter().flatten();
    let mut named = inits
        .clone()
        .chain(&pod.containers)
        .filter(|own| Syncer::NAMES.contains(&own.name.as_str()));
    let Some(first) = named.next() else {
        return Injected::No;
    };
    let name = Syncer::name_for(request.mode);
    let syncer = inits.clone().find(|own| own.name == name);
    let is_same = syncer.is_some_and(|syncer| is_same(pod, syncer, request, status, settings));
    if is_same && named.next().is_none() {
        return Injected::Yes;
    }
    let sentence = format!(
        "{PREFIX}repo: the Pod already has a container {:?} that is not the one to be injected; \
         expected a Pod without it (or {PREFIX}inject: \"false\")",
        first.name
    );
    Injected::Other(Mistake::new("repo", sentence))
}

fn is_same(
    pod: &PodSpec,
    syncer: &Container,
    request: &Request,
    status: Option<&Status>,
    settings: &Settings,
) -> bool {
    let args = syncer.args.as_deref().unwrap_or_default();
    let same_args = if status.is_none_or(|status| status.is_by(settings)) {
        args == args_for(request, settings)
    } else {
        // Another replica injected it, in the midst of an update of ours: its argv is as good, if
        // it is for the same repository.
        let repo = format!("--repo={}", escape_for_kubelet(request.repo.reveal()));
        args.contains(&repo)
    };
    let restart = (request.mode == Mode::Sync).then_some("Always");
    same_args
        && syncer.command.as_deref() == Some(&[paths::PROGRAM.to_owned()])
        && syncer.restart_policy.as_deref() == restart
        && has_volumes(pod, syncer, request)
        && has_reader(pod, syncer, request)
}

/// Each volume is where the syncer expects it and is what it is meant to be, whatever its name.
fn has_volumes(pod: &PodSpec, syncer: &Container, request: &Request) -> bool {
    let volumes = Volumes::new(request, pod);
    let mounts = volumes.mounts();
    mounts
        .iter()
        .zip(volumes.into_vec())
        .all(|(mount, volume)| {
            let present = syncer.volume_mounts.iter().flatten().find(|own| {
                own.mount_path == mount.path && own.read_only.unwrap_or(false) == mount.read_only
            });
            let present = present.and_then(|present| {
                pod.volumes
                    .iter()
                    .flatten()
                    .find(|own| own.name == present.name)
            });
            present.is_some_and(|present| volume.source.is_that_of(present))
        })
}

fn has_reader(pod: &PodSpec, syncer: &Container, request: &Request) -> bool {
    let mut mounts = syncer.volume_mounts.iter().flatten();
    let content = mounts.find(|mount| mount.mount_path == paths::CONTENT);
    content.is_some_and(|content| {
        let readers = pod
            .containers
            .iter()
            .flat_map(|own| own.volume_mounts.iter().flatten());
        let mut at_path = readers.filter(|own| own.mount_path == request.mount_path.as_str());
        at_path.any(|own| own.name == content.name)
    })
}

#[cfg(test)]
mod tests;
