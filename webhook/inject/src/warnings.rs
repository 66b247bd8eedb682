//! What is allowed and yet may not be what the author wants. Each fits the 256 characters that the
//! API server passes on, where names are of usual length.

use args::RepoKind;
use k8s_openapi::api::core::v1::Volume;
use k8s_openapi::api::core::v1::VolumeMount;

use crate::PREFIX;
use crate::Plan;
use crate::Request;
use crate::conflicts::port_taken;
use crate::container::Role;
use crate::gitrepo;
use crate::plan::configures_git;
use crate::reader;
use crate::reader::Reader;
use crate::suggest;
use crate::wanted::Wanted;

/// Directories of every image that a container does not start without, or hardly.
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

/// What is odd about what a Pod gets.
pub(crate) fn of(wanted: &Wanted<'_>, plan: &Plan) -> Vec<String> {
    let mut warnings: Vec<String> = Vec::new();
    let readers = wanted.readers();
    for request in wanted.requests {
        warnings.extend(without_key(wanted, request));
        warnings.extend(page(wanted, request));
        warnings.extend(short_hash(wanted, request));
        warnings.extend(hides(request, wanted));
        for reader in &readers {
            warnings.extend(below(reader, request, wanted));
            warnings.extend(above(reader, request, wanted));
            warnings.extend(unwritable(reader, request, wanted));
        }
    }
    warnings.extend(gitrepo::warnings(wanted));
    warnings.extend(frozen(wanted, plan));
    warnings.extend(metrics_port(wanted));
    warnings.extend(safe_directory(wanted, plan));
    if wanted.wide.user.is_some() && wanted.hands_out_users() {
        warnings.push(format!(
            "{}: the namespace hands out users and may refuse this one",
            wanted.key(None, "user")
        ));
    }
    let shares = wanted.pod.share_process_namespace == Some(true);
    let mut secrets = wanted.requests.iter().filter(|own| own.secret.is_some());
    if let Some(request) = secrets.next().filter(|_| shares) {
        warnings.push(format!(
            "{}: shareProcessNamespace lets containers of the same user read it",
            wanted.key(request.name.as_ref(), "secret")
        ));
    }
    if wanted
        .settings
        .resources
        .ends_guarantee(wanted.pod, &wanted.wide.resources)
    {
        warnings.push(format!(
            "{PREFIX}resources: the Pod is not Guaranteed any more: request and limit differ"
        ));
    }
    warnings
}

/// The warning for a port that another mutator gave to another container since.
pub(crate) fn port(wanted: &Wanted<'_>) -> Option<String> {
    let (port, taken) = port_taken(wanted)?;
    Some(format!(
        "{}: container {} has port {port} too; one of the two cannot listen",
        wanted.key(None, "metrics-port"),
        taken.container.name
    ))
}

/// The warning for an address that was copied from a browser's page of a repository.
fn page(wanted: &Wanted<'_>, request: &Request) -> Option<String> {
    let page = suggest::page(&request.repo.without_user())?;
    let key = |key: &str| wanted.key(request.name.as_ref(), key);
    let rev = page.rev.filter(|_| request.rev.as_str() == "HEAD");
    let rev = rev.map(|rev| format!(", {}: {rev}", key("ref")));
    let path = page.path.filter(|_| request.subdir.is_none());
    let path = path.map(|path| format!(", {}: {path}", key("subdir")));
    Some(format!(
        "{}: this is the address of a page in a browser; write {}{}{}",
        key("repo"),
        page.repo,
        rev.unwrap_or_default(),
        path.unwrap_or_default()
    ))
}

/// The warning for a hash that is cut, which only a clone of all history could complete.
fn short_hash(wanted: &Wanted<'_>, request: &Request) -> Option<String> {
    let rev = request.rev.as_str();
    suggest::is_short_hash(rev).then(|| {
        format!(
            "{}: {rev:?} looks like a shortened hash, which no git server resolves; write all 40 \
             digits, unless it is the name of a branch or tag",
            wanted.key(request.name.as_ref(), "ref")
        )
    })
}

fn metrics_port(wanted: &Wanted<'_>) -> Option<String> {
    let port = wanted.wide.metrics_port?;
    if wanted.entries(Role::Sync).is_empty() {
        return Some(format!(
            "{}: nothing is served there: nothing is followed",
            wanted.key(None, "metrics-port")
        ));
    }
    // The API server makes a host's port of it, so that the scheduler keeps two Pods apart.
    (wanted.pod.host_network == Some(true)).then(|| {
        format!(
            "{}: {port} is the node's port (hostNetwork): one such Pod per node",
            wanted.key(None, "metrics-port")
        )
    })
}

fn safe_directory(wanted: &Wanted<'_>, plan: &Plan) -> Vec<String> {
    if !wanted.wide.safe_directory {
        return Vec::new();
    }
    let own: Vec<String> = reader::all(wanted.pod)
        .filter(|reader| configures_git(reader))
        .map(|reader| {
            format!(
                "{}: container {} has GIT_CONFIG_* of its own, left alone",
                wanted.key(None, "safe-directory"),
                reader.container.name
            )
        })
        .collect();
    let is_told = plan.consumers.iter().any(|own| !own.env.is_empty());
    if own.is_empty() && !is_told {
        return vec![format!(
            "{}: no container gets a .git: it is there with link or gitRepo only",
            wanted.key(None, "safe-directory")
        )];
    }
    own
}

/// A mount by `subPath` is made once: it stays at the first revision when the tree is swapped.
fn frozen(wanted: &Wanted<'_>, plan: &Plan) -> Vec<String> {
    let followed = wanted.git_repos.iter().filter(|own| own.follow.is_some());
    let mut volumes: Vec<&str> = followed.map(|own| own.volume.as_str()).collect();
    for syncer in plan.syncers.iter().filter(|own| own.role == Role::Sync) {
        let mounts = syncer.mounts.iter();
        let contents = mounts.filter(|mount| mount.path.starts_with(args::paths::CONTENT));
        volumes.extend(contents.map(|mount| mount.volume.as_str()));
    }
    let is_part = |mount: &&VolumeMount| {
        let path = mount.sub_path.as_deref().or(mount.sub_path_expr.as_deref());
        volumes.contains(&mount.name.as_str()) && path.is_some_and(|path| !path.is_empty())
    };
    reader::all(wanted.pod)
        .filter_map(|reader| {
            let mut mounts = reader.container.volume_mounts.iter().flatten();
            let mount = mounts.find(is_part)?;
            Some(format!(
                "container {}: {} mounts {} by subPath: it stays at the first revision",
                reader.container.name, mount.mount_path, mount.name
            ))
        })
        .collect()
}

/// The runtime makes the place of a mount below another one, and ours is read-only: it works only
/// if the repository has that directory.
fn below(reader: &Reader<'_>, request: &Request, wanted: &Wanted<'_>) -> Option<String> {
    let own = reader.container;
    let mut mounts = own.volume_mounts.iter().flatten();
    let mount = mounts.find(|mount| request.mount_path.is_above(&mount.mount_path))?;
    Some(format!(
        "{}: container {} may not start: it mounts {} below that path",
        wanted.key(request.name.as_ref(), "mount-path"),
        own.name,
        mount.mount_path
    ))
}

/// The other way round: the place of ours has to be made in a volume that cannot be written.
fn above(reader: &Reader<'_>, request: &Request, wanted: &Wanted<'_>) -> Option<String> {
    let own = reader.container;
    let path = request.mount_path.as_str();
    let is_above = |mount: &&VolumeMount| {
        let other = mount.mount_path.trim_end_matches('/');
        let rest = path.strip_prefix(other);
        rest.is_some_and(|rest| rest.starts_with('/')) && !other.is_empty()
    };
    let mounts = own.volume_mounts.iter().flatten();
    // The runtime makes it in the nearest one.
    let mount = mounts
        .filter(is_above)
        .max_by_key(|mount| mount.mount_path.trim_end_matches('/').len())?;
    let mut volumes = wanted.pod.volumes.iter().flatten();
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
            "{}: container {} may not start: {} above that path is read-only",
            wanted.key(request.name.as_ref(), "mount-path"),
            own.name,
            mount.mount_path
        )
    })
}

/// The warning for a path that every image has something at.
fn hides(request: &Request, wanted: &Wanted<'_>) -> Option<String> {
    let path = request.mount_path.as_str();
    SYSTEM.contains(&path).then(|| {
        format!(
            "{}: hides what the images have in {path}",
            wanted.key(request.name.as_ref(), "mount-path")
        )
    })
}

/// The files are the syncer's, and its group's only where the Pod has an `fsGroup`.
fn unwritable(reader: &Reader<'_>, request: &Request, wanted: &Wanted<'_>) -> Option<String> {
    let of_pod = wanted.pod.security_context.as_ref();
    if request.read_only || of_pod.is_some_and(|own| own.fs_group.is_some()) {
        return None;
    }
    let own = reader.container.security_context.as_ref();
    let user = own
        .and_then(|own| own.run_as_user)
        .or(of_pod.and_then(|own| own.run_as_user))
        .filter(|user| *user != 0)?;
    let ours = wanted.user(Role::of_mode(request.mode))?.uid;
    (user != ours).then(|| {
        format!(
            "{}: container {} runs as {user}, the files are {ours}'s: give the Pod an fsGroup",
            wanted.key(request.name.as_ref(), "read-only"),
            reader.container.name
        )
    })
}

/// What a Secret must have for ssh.
pub(crate) fn ssh_needs(wanted: &Wanted<'_>) -> &'static str {
    match wanted.settings.known_hosts {
        None => "a key and known_hosts",
        Some(_) => "a key",
    }
}

/// The warning for an ssh address without a key.
fn without_key(wanted: &Wanted<'_>, request: &Request) -> Option<String> {
    let secret = wanted.secret_of(request.secret.as_ref(), &request.repo);
    let needs_key = request.repo.kind() == RepoKind::Ssh && secret.is_none();
    let name = request.name.as_ref();
    needs_key.then(|| {
        format!(
            "{}: ssh needs {}: name the Secret with {}",
            wanted.key(name, "repo"),
            ssh_needs(wanted),
            wanted.key(name, "secret")
        )
    })
}
