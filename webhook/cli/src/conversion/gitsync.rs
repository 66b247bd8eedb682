//! Converts git-sync containers to annotations.

mod container;
mod flags;
mod place;

use args::Action;
use args::ParsedSync;
use args::RepoKind;
use args::paths;
use inject::Key;
use inject::PREFIX;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::PodSpec;

use self::flags::ConvertedFlags;
use self::place::Place;
use self::place::place;
use super::access;
use super::gitrepo::sub_path;
use super::process;
use super::process::Kind;
use super::process::Process;
use super::view;
use super::view::below;
use super::view::clean;
use super::view::joined;
use super::view::mount_of;
use crate::conversion::source::ConfigMaps;
use crate::conversion::source::Left;
use crate::conversion::source::Source;

/// The default root of git-sync v2, below the `HOME` of the manifest.
const HOME_ROOT: &str = "git";

/// A git-sync container that annotations can express, before its grouping with others.
struct Syncer<'a> {
    container: &'a Container,
    is_init: bool,
    /// Its index among the Pod's init containers; their number for other containers.
    index: usize,
    is_once: bool,
    place: Place,
    convert_flags: ConvertedFlags,
    secret: Option<String>,
    wide: Vec<(Key, String)>,
    notes: Vec<String>,
}

/// The git-sync containers of a Pod; those that work together count as one.
pub(super) fn sources(pod: &PodSpec, config_maps: ConfigMaps<'_>) -> Vec<Result<Source, Left>> {
    let mut sources = Vec::new();
    let mut syncers: Vec<Syncer<'_>> = Vec::new();
    let mut failed: Vec<&Container> = Vec::new();
    for (container, is_init) in view::all(pod) {
        let read = match process::kind(container) {
            Kind::Other => continue,
            Kind::Alike => Err(format!(
                "it has git-sync's variables, but neither its image nor its command is git-sync's; \
                 annotations cannot express what else it does (image {:?})",
                container.image.as_deref().unwrap_or_default()
            )),
            Kind::GitSync => read(pod, container, is_init, config_maps),
        };
        match read {
            Ok(syncer) => syncers.push(syncer),
            Err(why) => {
                failed.push(container);
                sources.push(Err(left(container, why)));
            }
        }
    }
    while let Some(first) = syncers.first() {
        let volume = first.place.volume.clone();
        let (group, others): (Vec<_>, Vec<_>) = syncers
            .into_iter()
            .partition(|syncer| syncer.place.volume == volume);
        syncers = others;
        let mounts = |container: &&&Container| {
            let mut mounts = container.volume_mounts.iter().flatten();
            mounts.any(|mount| mount.name == volume)
        };
        let outcome = match failed.iter().find(mounts) {
            Some(failed) => Err(format!(
                "it shares volume {volume} with container {}, which is skipped",
                failed.name
            )),
            None => source(pod, &group),
        };
        match outcome {
            Ok(source) => sources.push(Ok(source)),
            Err(why) => {
                let each = group.iter();
                sources.extend(each.map(|syncer| Err(left(syncer.container, why.clone()))));
            }
        }
    }
    sources
}

fn left(container: &Container, why: String) -> Left {
    Left {
        about: format!("container {}", container.name),
        why,
    }
}

/// Parses one container; an error is a setting that no annotation can express.
fn read<'a>(
    pod: &PodSpec,
    container: &'a Container,
    is_init: bool,
    config_maps: ConfigMaps<'_>,
) -> Result<Syncer<'a>, String> {
    let process = process::read(container)?;
    let typed = typed(container, &process)?;
    let major = process::major(container);
    let mut convert_flags = flags::convert_flags(&typed, major, pod)?;
    let mut volumes: Vec<&str> = Vec::new();
    if let Some(path) = &typed.sync.repo.sparse_checkout_file {
        let path = path.display().to_string();
        let (volume, patterns) = patterns(pod, container, &path, config_maps).ok_or_else(|| {
            format!(
                "--sparse-checkout-file: {path} is in no ConfigMap among the manifests; put its lines into {PREFIX}sparse-checkout"
            )
        })?;
        convert_flags.keys.push((Key::SparseCheckout, patterns));
        volumes.push(volume);
    }
    let place = place(
        pod,
        container,
        &typed.sync.repo,
        convert_flags.default_link.as_str(),
    )?;
    let secret = access::secret(
        pod,
        container,
        &process,
        &typed.sync.repo,
        convert_flags.kind,
    )?;
    let is_native = container.restart_policy.as_deref() == Some("Always") && is_init;
    let is_once = typed.sync.repo.one_time;
    if is_init && !is_once && !is_native {
        return Err("it is an init container that never exits: --one-time is not set".to_owned());
    }
    let mut notes = convert_flags.notes.clone();
    if major.is_none() {
        notes.push(format!(
            "its version is unknown (image {:?}), so it is treated as git-sync v4; before v4 the \
             defaults were {PREFIX}ref: master, {PREFIX}depth: \"0\" and no check of host keys",
            container.image.as_deref().unwrap_or_default()
        ));
    }
    let is_old = major.is_none_or(|major| major < 4);
    if convert_flags.kind == RepoKind::Ssh && is_old && !process::has_ssh(&process) {
        let named = match &secret {
            Some(name) => format!("the Secret {name:?}"),
            None => format!("a Secret named by {PREFIX}secret"),
        };
        notes.push(format!(
            "it did not check the host key, but the injected syncer always does: {named} needs known_hosts in addition to the key (`ssh-keyscan HOST`)"
        ));
    }
    for name in &process.others {
        notes.push(format!(
            "env {name}: the injected syncer does not have it, and git-sync does not read it"
        ));
    }
    volumes.push(&place.volume);
    let rest = container::rest(
        pod,
        container,
        &volumes,
        secret.as_deref(),
        convert_flags.port,
    )?;
    notes.extend(rest.notes);
    if is_once && !is_init {
        notes.push(
            "it fetched in parallel with the containers, at each of its starts; mode once fetches once, before they start"
                .to_owned(),
        );
    }
    let inits = pod.init_containers.as_deref().unwrap_or_default();
    let index = inits
        .iter()
        .position(|own| is_init && own.name == container.name)
        .unwrap_or(inits.len());
    let port = convert_flags.port.filter(|_| !is_once);
    let wide = rest
        .wide
        .into_iter()
        .chain(port.map(|port| (Key::MetricsPort, port.to_string())));
    Ok(Syncer {
        container,
        is_init,
        index,
        is_once,
        place,
        secret,
        wide: wide.collect(),
        notes,
        convert_flags,
    })
}

/// Parses flags and variables as the syncer does, with the defaults of the image.
fn typed(container: &Container, process: &Process) -> Result<ParsedSync, String> {
    let read = |root: &str| {
        let env = process.env.iter();
        let env = env.map(|(name, value)| (name.into(), value.into()));
        let has_root = ["GITSYNC_ROOT", "GIT_SYNC_ROOT"]
            .iter()
            .any(|name| process.value(name).is_some());
        let root = (!has_root).then(|| ("GITSYNC_ROOT".into(), root.into()));
        match args::read(process.argv.iter().map(Into::into), env.chain(root)) {
            Ok(Action::Sync(typed)) => Ok(*typed),
            Ok(_) => Err("it does something other than sync".to_owned()),
            Err(refusal) => Err(refusal.message),
        }
    };
    let typed = read(paths::IMAGE_ROOT)?;
    if !typed.is_root_the_images {
        return Ok(typed);
    }
    // The manifest sets no root: use the image's default that a volume is mounted at.
    let home = process.value("HOME").map(|home| joined(home, HOME_ROOT));
    let roots = [paths::IMAGE_ROOT, paths::V3_IMAGE_ROOT];
    let mut roots = roots.into_iter().chain(home.as_deref());
    let mounted = roots.find(|root| mount_of(container, root).is_some());
    match mounted {
        Some(root) => read(root),
        None => Ok(typed),
    }
}

/// The volume that a file in a container belongs to, and the file's text if it is a key of a
/// ConfigMap.
fn patterns<'a>(
    pod: &PodSpec,
    container: &'a Container,
    path: &str,
    config_maps: ConfigMaps<'_>,
) -> Option<(&'a str, String)> {
    let (mount, rest) = mount_of(container, path)?;
    let mut volumes = pod.volumes.iter().flatten();
    let volume = volumes.find(|volume| volume.name == mount.name)?;
    let source = volume.config_map.as_ref()?;
    let inside = match &mount.sub_path {
        Some(sub) => joined(sub, &rest),
        None => rest,
    };
    let key = match &source.items {
        None => inside,
        Some(items) => items.iter().find(|item| item.path == inside)?.key.clone(),
    };
    let text = config_maps(&source.name, &key)?;
    Some((mount.name.as_str(), text))
}

/// Combines the containers of one volume: a single one, or an init container and a sidecar.
fn source(pod: &PodSpec, group: &[Syncer<'_>]) -> Result<Source, String> {
    let main = match group {
        [one] => one,
        [first, main] if first.is_init && first.is_once && !main.is_once => {
            if !is_same(first, main) {
                return Err(format!(
                    "containers {} and {} share volume {} but have different settings",
                    first.container.name, main.container.name, main.place.volume
                ));
            }
            main
        }
        _ => {
            let first = group.first().map_or("", |first| &first.place.volume);
            return Err(format!(
                "{} containers of git-sync share volume {first}; give each a volume of its own",
                group.len()
            ));
        }
    };
    let names: Vec<&str> = group
        .iter()
        .map(|syncer| syncer.container.name.as_str())
        .collect();
    let place = &main.place;
    let view = view::of(pod, &place.volume, &names)?;
    let begins = group.iter().map(|syncer| syncer.index).min();
    let inits = pod.init_containers.iter().flatten().enumerate();
    for (index, own) in inits.filter(|(_, own)| view.init_containers.contains(&own.name)) {
        if Some(index) < begins {
            return Err(format!(
                "init container {} mounts its volume while it is still empty",
                own.name
            ));
        }
    }
    let mut notes: Vec<String> = Vec::new();
    let (mount_path, link) = match (view.sub_path.as_deref().map(clean), &place.link) {
        (None, Some(link)) => (joined(&view.mount_path, &place.root), Some(link.clone())),
        (None, None) => (view.mount_path.clone(), Some(place.whole.clone())),
        (Some(sub), _) if sub == place.whole => {
            if !main.is_once {
                notes.push(format!(
                    "it was mounted by subPath {sub:?}, which stayed at the first revision, but is updated now"
                ));
            }
            (view.mount_path.clone(), None)
        }
        (Some(sub), _) => match below(&sub, &place.whole) {
            Some(link) => (view.mount_path.clone(), Some(link)),
            None => return Err(sub_path(&sub, &place.whole)),
        },
    };
    let mut keys = main.convert_flags.keys.clone();
    let after = keys
        .iter()
        .take_while(|(key, _)| [Key::Repo, Key::Ref].contains(key))
        .count();
    let placed = [(Key::MountPath, mount_path)].into_iter();
    let placed = placed.chain(link.map(|link| (Key::Link, link)));
    let placed = placed.chain(main.is_once.then(|| (Key::Mode, "once".to_owned())));
    keys.splice(after..after, placed.collect::<Vec<_>>());
    keys.extend(main.secret.clone().map(|secret| (Key::Secret, secret)));
    if !view.read_only {
        keys.push((Key::ReadOnly, "false".to_owned()));
    }
    if view.is_mixed {
        notes.push(
            "some of the containers mounted it read-only, and now all of them can write".to_owned(),
        );
    }
    keys.extend(limits(pod, &place.volume));
    if main.convert_flags.is_group_writable && view.read_only {
        notes.push(format!(
            "--group-write: only the syncer writes there, as {PREFIX}read-only says"
        ));
    }
    let mut wide: Vec<(Key, String)> = Vec::new();
    // The sidecar comes first: the first of two values takes precedence.
    for syncer in [main].into_iter().chain(group) {
        for (key, value) in &syncer.wide {
            if wide.iter().all(|(own, _)| own != key) {
                wide.push((*key, value.clone()));
            }
        }
        let alike = |note: &&String| !notes.contains(note);
        let new: Vec<String> = syncer.notes.iter().filter(alike).cloned().collect();
        notes.extend(new);
    }
    Ok(Source {
        about: match names[..] {
            [first, second] => format!("containers {first} and {second}"),
            _ => format!("container {}", main.container.name),
        },
        base: main.container.name.clone(),
        keys,
        wide,
        containers: view.containers,
        init_containers: view.init_containers,
        removed: names.iter().map(|name| (*name).to_owned()).collect(),
        volume: place.volume.clone(),
        notes,
    })
}

/// Whether two syncers publish the same content at the same path.
fn is_same(one: &Syncer<'_>, other: &Syncer<'_>) -> bool {
    let content = |syncer: &Syncer<'_>| {
        let keys = syncer.convert_flags.keys.iter();
        let keys = keys.filter(|(key, _)| ![Key::Period, Key::Timeout, Key::Notify].contains(key));
        keys.cloned().collect::<Vec<_>>()
    };
    one.place.whole == other.place.whole
        && one.secret == other.secret
        && content(one) == content(other)
}

/// The annotations that come from the volume itself.
fn limits(pod: &PodSpec, volume: &str) -> Vec<(Key, String)> {
    let mut volumes = pod.volumes.iter().flatten();
    let own = volumes.find(|own| own.name == volume);
    let Some(own) = own.and_then(|own| own.empty_dir.as_ref()) else {
        return Vec::new();
    };
    let limit = own.size_limit.as_ref();
    let limit = limit.map(|limit| (Key::SizeLimit, limit.0.clone()));
    let is_memory = own.medium.as_deref() == Some("Memory");
    let medium = is_memory.then(|| (Key::Medium, "memory".to_owned()));
    limit.into_iter().chain(medium).collect()
}
