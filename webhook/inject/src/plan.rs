use args::RepoKind;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::PodSpec;

use crate::Mistake;
use crate::Mount;
use crate::MountPath;
use crate::PREFIX;
use crate::Request;
use crate::Settings;
use crate::Syncer;
use crate::User;
use crate::Volume;
use crate::annotations::Asked;
use crate::container::args_for;
use crate::policy::RunAs;
use crate::value::shown;
use crate::volume::Volumes;

/// What a Pod gets.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The repositories, as asked for.
    pub requests: Vec<Request>,
    /// The init containers that are added.
    pub containers: Vec<Syncer>,
    /// Where in the Pod's init containers they are put.
    pub position: usize,
    /// The volumes that are added.
    pub volumes: Vec<Volume>,
    /// The Pod's own containers that get the files.
    pub consumers: Vec<Consumer>,
}

/// One of the Pod's own containers that gets files.
#[derive(Clone, Debug, PartialEq)]
pub struct Consumer {
    /// Its place in the Pod's containers.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// What it mounts in addition.
    pub mounts: Vec<Mount>,
}

/// Plans the one request that the unnamed annotations make, for a Pod without [`conflicts`].
pub(crate) fn plan(
    pod: &PodSpec,
    names: Option<&[String]>,
    request: &Request,
    settings: &Settings,
) -> Plan {
    let volumes = Volumes::new(request, pod);
    let consumers = select(pod, names);
    let readers: Vec<&Container> = consumers.iter().map(|(_, own)| *own).collect();
    let syncer = Syncer {
        name: Syncer::name_for(request.mode),
        mode: request.mode,
        args: args_for(request, settings),
        mounts: volumes.mounts(),
        resources: settings.resources.for_pod(pod),
        user: match settings.run_as {
            RunAs::Derive => Some(User::for_pod(pod, &readers)),
            RunAs::Namespace => None,
        },
    };
    let mount = Mount {
        volume: volumes.content.name.clone(),
        path: request.mount_path.to_string(),
        read_only: true,
    };
    let consumer = |(index, own): (usize, &Container)| Consumer {
        index,
        name: own.name.clone(),
        mounts: vec![mount.clone()],
    };
    Plan {
        requests: vec![request.clone()],
        containers: vec![syncer],
        position: last(pod),
        volumes: volumes.into_vec(),
        consumers: consumers.into_iter().map(consumer).collect(),
    }
}

/// What is asked for and the Pod does not allow.
pub(crate) fn conflicts(pod: &PodSpec, asked: &Asked) -> Vec<Mistake> {
    let names = asked.pod.containers.as_deref();
    let mut mistakes = unknown_containers(pod, names.unwrap_or_default());
    for place in &asked.places {
        let selected = select(pod, names);
        mistakes.extend(selected.iter().filter_map(|(_, own)| taken(own, place)));
    }
    mistakes
}

/// What is allowed and yet may not be what the author wants.
pub(crate) fn warnings(pod: &PodSpec, asked: &Asked, request: &Request) -> Vec<String> {
    let selected = select(pod, asked.pod.containers.as_deref());
    let below = selected
        .iter()
        .filter_map(|(_, own)| below(own, &request.mount_path));
    without_key(request).into_iter().chain(below).collect()
}

/// After every other init container: sidecars that git may need (a mesh's proxy) have started, and
/// no init container waits for a clone that it does not read. One that others added after us, on
/// a later call, may as well stay there.
fn last(pod: &PodSpec) -> usize {
    pod.init_containers.as_ref().map_or(0, Vec::len)
}

/// The containers that get the files, in the Pod's order: those named, or all.
fn select<'a>(pod: &'a PodSpec, names: Option<&[String]>) -> Vec<(usize, &'a Container)> {
    let is_named = |own: &Container| names.is_none_or(|names| names.contains(&own.name));
    let all = pod.containers.iter().enumerate();
    all.filter(|(_, own)| is_named(own)).collect()
}

fn unknown_containers(pod: &PodSpec, names: &[String]) -> Vec<Mistake> {
    let known: Vec<&str> = pod.containers.iter().map(|own| own.name.as_str()).collect();
    let unknown = names.iter().filter(|name| !known.contains(&name.as_str()));
    let mistake = |name: &String| {
        let (name, known) = (shown(name), known.join(", "));
        let sentence = format!(
            "{PREFIX}containers: {name}: the Pod has no such container; expected names out of {known}"
        );
        Mistake::new("containers", sentence)
    };
    unknown.map(mistake).collect()
}

/// Two things in one place: the API server would refuse the Pod, in words that do not say whose
/// mount it was.
fn taken(own: &Container, place: &MountPath) -> Option<Mistake> {
    let path = place.as_str();
    let is_here = |other: &str| other.trim_end_matches('/') == path;
    let mounts = own.volume_mounts.iter().flatten();
    let devices = own.volume_devices.iter().flatten();
    let volume = mounts
        .map(|mount| (&mount.mount_path, &mount.name))
        .chain(devices.map(|device| (&device.device_path, &device.name)))
        .find(|(other, _)| is_here(other))?
        .1;
    let (path, container, volume) = (shown(path), shown(&own.name), shown(volume));
    let sentence = format!(
        "{PREFIX}mount-path: {path}: container {container} already mounts volume {volume} there; \
         expected a path of its own"
    );
    Some(Mistake::new("mount-path", sentence))
}

/// The runtime makes the place of a mount below another one, and ours is read-only: it works only
/// if the repository has that directory.
fn below(own: &Container, place: &MountPath) -> Option<String> {
    let path = place.as_str();
    let is_below = |other: &str| {
        let rest = other.strip_prefix(path);
        rest.is_some_and(|rest| rest.starts_with('/') && rest.len() > 1)
    };
    let mount = own
        .volume_mounts
        .iter()
        .flatten()
        .find(|mount| is_below(&mount.mount_path))?;
    Some(format!(
        "{PREFIX}mount-path: container {} may not start: it mounts {} below that path",
        own.name, mount.mount_path
    ))
}

/// The warning for an ssh address without a key.
fn without_key(request: &Request) -> Option<String> {
    let needs_key = request.repo.kind() == RepoKind::Ssh && request.secret.is_none();
    needs_key.then(|| {
        format!(
            "{PREFIX}repo: ssh needs a key and known_hosts: name their Secret with {PREFIX}secret"
        )
    })
}
