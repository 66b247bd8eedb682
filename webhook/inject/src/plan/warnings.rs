//! Warnings: allowed, and possibly not what the author intends. Each fits into the 256 characters
//! that the API server passes on, where names have a usual length.

mod gitrepo_volumes;
mod mounts;
mod programs;
mod ssh;

use args::RepoKind;
use k8s_openapi::api::core::v1::Volume;
use k8s_openapi::api::core::v1::VolumeMount;

use crate::Key;
use crate::PREFIX;
use crate::Plan;
use crate::Request;
use crate::keys::suggest;
use crate::model::role::Role;
use crate::model::user::uid_of;
use crate::plan::configures_git;
use crate::plan::conflicts::port_taken;
use crate::plan::input::PlanInput;
use crate::plan::warnings::ssh::ssh_needs;
use crate::pod::reader;
use crate::pod::reader::Reader;

/// Directories of every image without which a container does not start, or hardly works.
const SYSTEM: [&str; 14] = [
    "/bin",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/run",
    "/sbin",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/sbin",
    "/var",
];

/// The warnings for a planned Pod.
pub(crate) fn of(input: &PlanInput<'_>, plan: &Plan) -> Vec<String> {
    let mut warnings: Vec<String> = Vec::new();
    for request in input.requests {
        warnings.extend(without_key(input, request));
        warnings.extend(page(input, request));
        warnings.extend(short_hash(input, request));
        warnings.extend(hides(request, input));
        for reader in &input.readers {
            warnings.extend(below(reader, request, input));
            warnings.extend(above(reader, request, input));
            warnings.extend(unwritable(reader, request, input));
        }
    }
    warnings.extend(gitrepo_volumes::warnings(input));
    warnings.extend(mounts::warnings(input, plan));
    warnings.extend(programs::warnings(input));
    warnings.extend(metrics_port(input));
    warnings.extend(safe_directory(input, plan));
    if input.wide.user.is_some() && input.has_uid_range() {
        warnings.push(format!(
            "{}: OpenShift assigns a UID range to this namespace and may refuse this user",
            input.key(None, Key::User)
        ));
    }
    let shares = input.pod.share_process_namespace == Some(true);
    let mut secrets = input.requests.iter().filter(|own| own.secret.is_some());
    if let Some(request) = secrets.next().filter(|_| shares) {
        warnings.push(format!(
            "{}: with shareProcessNamespace, other containers that run as the same user can read the Secret",
            input.key(request.name.as_ref(), Key::Secret)
        ));
    }
    if input
        .settings
        .resources
        .ends_guarantee(input.pod, &input.wide.resources)
    {
        warnings.push(format!(
            "{PREFIX}resources: the Pod loses the QoS class Guaranteed: the syncer's requests and limits differ"
        ));
    }
    warnings
}

/// The warning for a metrics port that another mutator assigned to another container since the
/// first call.
pub(crate) fn port(input: &PlanInput<'_>) -> Option<String> {
    let (port, applied_object) = port_taken(input)?;
    Some(format!(
        "{}: container {} has port {port} too; only one of the two containers can listen on it",
        input.key(None, Key::MetricsPort),
        applied_object.container.name
    ))
}

/// The warning for an address that was copied from a repository's web page.
fn page(input: &PlanInput<'_>, request: &Request) -> Option<String> {
    let page = suggest::page(&request.repo.without_user())?;
    let key = |key: Key| input.key(request.name.as_ref(), key);
    let rev = page.rev.filter(|_| request.rev.as_str() == "HEAD");
    let rev = rev.map(|rev| format!(", {}: {rev}", key(Key::Ref)));
    let path = page.path.filter(|_| request.subdir.is_none());
    let path = path.map(|path| format!(", {}: {path}", key(Key::Subdir)));
    Some(format!(
        "{}: this is the address of a web page, not of a repository; use {}{}{}",
        key(Key::Repo),
        page.repo,
        rev.unwrap_or_default(),
        path.unwrap_or_default()
    ))
}

/// The warning for an abbreviated hash, which only a clone of the full history could resolve.
fn short_hash(input: &PlanInput<'_>, request: &Request) -> Option<String> {
    let rev = request.rev.as_str();
    suggest::is_short_hash(rev).then(|| {
        format!(
            "{}: {rev:?} looks like an abbreviated commit hash, which git servers do not resolve; use all 40 digits, unless it is the name of a branch or tag",
            input.key(request.name.as_ref(), Key::Ref)
        )
    })
}

fn metrics_port(input: &PlanInput<'_>) -> Option<String> {
    let port = input.wide.metrics_port?;
    if input.entries(Role::Sync).is_empty() {
        return Some(format!(
            "{}: no effect: only the sidecar serves metrics, and this Pod gets none",
            input.key(None, Key::MetricsPort)
        ));
    }
    // The API server makes it a host port, so that the scheduler keeps two such Pods apart.
    (input.pod.host_network == Some(true)).then(|| {
        format!(
            "{}: {port} is a port of the node (hostNetwork): only one such Pod can run per node",
            input.key(None, Key::MetricsPort)
        )
    })
}

fn safe_directory(input: &PlanInput<'_>, plan: &Plan) -> Vec<String> {
    if !input.wide.safe_directory {
        return Vec::new();
    }
    let own: Vec<String> = reader::all(input.pod)
        .filter(|reader| configures_git(reader))
        .map(|reader| {
            format!(
                "{}: container {} sets GIT_CONFIG_* itself, so the webhook does not change its environment",
                input.key(None, Key::SafeDirectory),
                reader.container.name
            )
        })
        .collect();
    let is_told = plan.consumers.iter().any(|own| !own.env.is_empty());
    if own.is_empty() && !is_told {
        return vec![format!(
            "{}: no effect: no container gets a .git directory, which only link and gitRepo volumes provide",
            input.key(None, Key::SafeDirectory)
        )];
    }
    own
}

/// The warning for a mount of the Pod below a repository's: the runtime creates the mount point,
/// and the repository's volume is read-only, so it works only if the repository has that directory.
fn below(reader: &Reader<'_>, request: &Request, input: &PlanInput<'_>) -> Option<String> {
    let own = reader.container;
    let mut mounts = own.volume_mounts.iter().flatten();
    let mount = mounts.find(|mount| request.mount_path.is_above(&mount.mount_path))?;
    Some(format!(
        "{}: container {} may fail to start: it mounts {} below this path",
        input.key(request.name.as_ref(), Key::MountPath),
        own.name,
        mount.mount_path
    ))
}

/// The warning for a repository's mount below a read-only volume of the Pod, where the runtime
/// cannot create the mount point.
fn above(reader: &Reader<'_>, request: &Request, input: &PlanInput<'_>) -> Option<String> {
    let own = reader.container;
    let path = request.mount_path.as_str();
    let is_above = |mount: &&VolumeMount| {
        let other = mount.mount_path.trim_end_matches('/');
        let rest = path.strip_prefix(other);
        rest.is_some_and(|rest| rest.starts_with('/')) && !other.is_empty()
    };
    let mounts = own.volume_mounts.iter().flatten();
    // The runtime creates it in the nearest enclosing mount.
    let mount = mounts
        .filter(is_above)
        .max_by_key(|mount| mount.mount_path.trim_end_matches('/').len())?;
    let mut volumes = input.pod.volumes.iter().flatten();
    let is_fixed = |volume: &Volume| {
        volume.config_map.is_some()
            || volume.secret.is_some()
            || volume.downward_api.is_some()
            || volume.projected.is_some()
            || volume.image.is_some()
    };
    let is_fixed = mount.read_only == Some(true)
        || volumes.any(|volume| volume.name == mount.name && is_fixed(volume));
    is_fixed.then(|| {
        format!(
            "{}: container {} may fail to start: {} above this path is read-only",
            input.key(request.name.as_ref(), Key::MountPath),
            own.name,
            mount.mount_path
        )
    })
}

/// The warning for a path that exists in every image.
fn hides(request: &Request, input: &PlanInput<'_>) -> Option<String> {
    let path = request.mount_path.as_str();
    SYSTEM.contains(&path).then(|| {
        format!(
            "{}: hides the files of the container images in {path}",
            input.key(request.name.as_ref(), Key::MountPath)
        )
    })
}

/// The warning for files that a container cannot write: they belong to the syncer's user, and to a
/// common group only where the Pod has an `fsGroup`.
fn unwritable(reader: &Reader<'_>, request: &Request, input: &PlanInput<'_>) -> Option<String> {
    let of_pod = input.pod.security_context.as_ref();
    if request.read_only || of_pod.is_some_and(|own| own.fs_group.is_some()) {
        return None;
    }
    let user = uid_of(input.pod, reader.container).filter(|user| *user != 0)?;
    let ours = input.role(Role::of_mode(request.mode)).user?.uid;
    (user != ours).then(|| {
        format!(
            "{}: container {} runs as {user}, the files belong to {ours}: set spec.securityContext.fsGroup",
            input.key(request.name.as_ref(), Key::ReadOnly),
            reader.container.name
        )
    })
}

/// The warning for an ssh address without a key.
fn without_key(input: &PlanInput<'_>, request: &Request) -> Option<String> {
    let secret = input.secret_of_request(request);
    let needs_key = request.repo.kind() == RepoKind::Ssh && secret.is_none();
    let name = request.name.as_ref();
    needs_key.then(|| {
        format!(
            "{}: ssh needs {}: specify the Secret in {}",
            input.key(name, Key::Repo),
            ssh_needs(input),
            input.key(name, Key::Secret)
        )
    })
}
