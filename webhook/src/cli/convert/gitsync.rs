//! git-sync's containers as annotations say them.

mod container;
mod flags;
mod place;

use args::Asked;
use args::RepoKind;
use args::Typed;
use args::paths;
use inject::PREFIX;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::PodSpec;

use self::flags::Told;
use self::place::Place;
use self::place::place;
use super::ConfigMaps;
use super::Left;
use super::Source;
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

/// The root that git-sync v2 took in the home that a manifest gave it.
const HOME_ROOT: &str = "git";

/// One container of git-sync's that annotations can say, but for its place among the others.
struct Syncer<'a> {
    container: &'a Container,
    is_init: bool,
    /// Its place among the Pod's init containers, or that of none.
    index: usize,
    is_once: bool,
    place: Place,
    told: Told,
    secret: Option<String>,
    wide: Vec<(&'static str, String)>,
    notes: Vec<String>,
}

/// Each container of git-sync's, those that work together as one.
pub(super) fn sources(pod: &PodSpec, config_maps: ConfigMaps<'_>) -> Vec<Result<Source, Left>> {
    let mut sources = Vec::new();
    let mut syncers: Vec<Syncer<'_>> = Vec::new();
    let mut failed: Vec<&Container> = Vec::new();
    for (container, is_init) in view::all(pod) {
        let read = match process::kind(container) {
            Kind::Other => continue,
            Kind::Alike => Err(format!(
                "it has git-sync's variables, but neither its image nor its command is git-sync's; \
                 what it does beside syncing is nothing for an annotation (image {:?})",
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
                "it shares volume {volume} with container {}, which is left as it is",
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

/// Reads one container; an error says what of it no annotation says.
fn read<'a>(
    pod: &PodSpec,
    container: &'a Container,
    is_init: bool,
    config_maps: ConfigMaps<'_>,
) -> Result<Syncer<'a>, String> {
    let process = process::read(container)?;
    let typed = typed(container, &process)?;
    let major = process::major(container);
    let mut told = flags::told(&typed, major, pod)?;
    let mut volumes: Vec<&str> = Vec::new();
    if let Some(path) = &typed.sync.repo.sparse_checkout_file {
        let path = path.display().to_string();
        let (volume, patterns) = patterns(pod, container, &path, config_maps).ok_or_else(|| {
            format!(
                "--sparse-checkout-file: {path} is in no ConfigMap among the manifests; its lines \
                 belong in {PREFIX}sparse-checkout"
            )
        })?;
        told.keys.push(("sparse-checkout", patterns));
        volumes.push(volume);
    }
    let place = place(pod, container, &typed.sync.repo, told.default_link.as_str())?;
    let secret = access::secret(pod, container, &process, &typed.sync.repo, told.kind)?;
    let is_native = container.restart_policy.as_deref() == Some("Always") && is_init;
    let is_once = typed.sync.repo.one_time;
    if is_init && !is_once && !is_native {
        return Err("it is an init container that never ends: --one-time is not set".to_owned());
    }
    let mut notes = told.notes.clone();
    if major.is_none() {
        notes.push(format!(
            "its version is not known (image {:?}), so it is taken for git-sync v4; before v4 the \
             defaults were {PREFIX}ref: master, {PREFIX}depth: \"0\" and no check of host keys",
            container.image.as_deref().unwrap_or_default()
        ));
    }
    let is_old = major.is_none_or(|major| major < 4);
    if told.kind == RepoKind::Ssh && is_old && !process::has_ssh(&process) {
        let named = match &secret {
            Some(name) => format!("the Secret {name:?}"),
            None => format!("a Secret named by {PREFIX}secret"),
        };
        notes.push(format!(
            "it never checked the host's key, and the injected syncer always does: {named} needs \
             known_hosts beside the key (`ssh-keyscan HOST`)"
        ));
    }
    for name in &process.others {
        notes.push(format!(
            "env {name}: the injected syncer does not have it, and git-sync does not read it"
        ));
    }
    volumes.push(&place.volume);
    let rest = container::rest(pod, container, &volumes, secret.as_deref(), told.port)?;
    notes.extend(rest.notes);
    if is_once && !is_init {
        notes.push(
            "it fetched beside the containers, again each time it was started; mode once fetches \
             before them, one time"
                .to_owned(),
        );
    }
    let inits = pod.init_containers.as_deref().unwrap_or_default();
    let index = inits
        .iter()
        .position(|own| is_init && own.name == container.name)
        .unwrap_or(inits.len());
    let port = told.port.filter(|_| !is_once);
    let wide = rest
        .wide
        .into_iter()
        .chain(port.map(|port| ("metrics-port", port.to_string())));
    Ok(Syncer {
        container,
        is_init,
        index,
        is_once,
        place,
        secret,
        wide: wide.collect(),
        notes,
        told,
    })
}

/// Reads flags and variables as the syncer does, with what the image sets.
fn typed(container: &Container, process: &Process) -> Result<Typed, String> {
    let read = |root: &str| {
        let env = process.env.iter();
        let env = env.map(|(name, value)| (name.into(), value.into()));
        let has_root = ["GITSYNC_ROOT", "GIT_SYNC_ROOT"]
            .iter()
            .any(|name| process.value(name).is_some());
        let root = (!has_root).then(|| ("GITSYNC_ROOT".into(), root.into()));
        match args::read(process.argv.iter().map(Into::into), env.chain(root)) {
            Ok(Asked::Sync(typed)) => Ok(*typed),
            Ok(_) => Err("it does something else than sync".to_owned()),
            Err(refusal) => Err(refusal.message),
        }
    };
    let typed = read(paths::IMAGE_ROOT)?;
    if !typed.is_root_the_images {
        return Ok(typed);
    }
    // Nobody says where: the place of the image's version that a volume is at.
    let home = process.value("HOME").map(|home| joined(home, HOME_ROOT));
    let roots = [paths::IMAGE_ROOT, paths::V3_IMAGE_ROOT];
    let mut roots = roots.into_iter().chain(home.as_deref());
    let mounted = roots.find(|root| mount_of(container, root).is_some());
    match mounted {
        Some(root) => read(root),
        None => Ok(typed),
    }
}

/// The volume of a file in a container and what is in the file, where that is a ConfigMap's key.
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

/// Brings the containers of one volume together: one, or one that begins and one that goes on.
fn source(pod: &PodSpec, group: &[Syncer<'_>]) -> Result<Source, String> {
    let main = match group {
        [one] => one,
        [first, main] if first.is_init && first.is_once && !main.is_once => {
            if !is_same(first, main) {
                return Err(format!(
                    "containers {} and {} share volume {} and are told different things",
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
                "init container {} has its volume before anything is in it",
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
                    "it was mounted by subPath {sub:?}, which stays at the revision of the start, \
                     and is followed now"
                ));
            }
            (view.mount_path.clone(), None)
        }
        (Some(sub), _) => match below(&sub, &place.whole) {
            Some(link) => (view.mount_path.clone(), Some(link)),
            None => return Err(sub_path(&sub, &place.whole)),
        },
    };
    let mut keys = main.told.keys.clone();
    let after = keys
        .iter()
        .take_while(|(key, _)| ["repo", "ref"].contains(key))
        .count();
    let placed = [("mount-path", mount_path)].into_iter();
    let placed = placed.chain(link.map(|link| ("link", link)));
    let placed = placed.chain(main.is_once.then(|| ("mode", "once".to_owned())));
    keys.splice(after..after, placed.collect::<Vec<_>>());
    keys.extend(main.secret.clone().map(|secret| ("secret", secret)));
    if !view.read_only {
        keys.push(("read-only", "false".to_owned()));
    }
    if view.is_mixed {
        notes.push("some of its readers could not write, and now all can".to_owned());
    }
    keys.extend(limits(pod, &place.volume));
    if main.told.is_group_writable && view.read_only {
        notes.push(format!(
            "--group-write: nobody but the syncer writes there, as {PREFIX}read-only says"
        ));
    }
    let mut wide: Vec<(&'static str, String)> = Vec::new();
    // The one that goes on comes first: of two values the first one holds.
    for syncer in [main].into_iter().chain(group) {
        for (key, value) in &syncer.wide {
            if wide.iter().all(|(own, _)| own != key) {
                wide.push((key, value.clone()));
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

/// Tells whether two syncers publish the same in the same place.
fn is_same(one: &Syncer<'_>, other: &Syncer<'_>) -> bool {
    let content = |syncer: &Syncer<'_>| {
        let keys = syncer.told.keys.iter();
        let keys = keys.filter(|(key, _)| !["period", "timeout", "notify"].contains(key));
        keys.cloned().collect::<Vec<_>>()
    };
    one.place.whole == other.place.whole
        && one.secret == other.secret
        && content(one) == content(other)
}

/// What the volume says of itself.
fn limits(pod: &PodSpec, volume: &str) -> Vec<(&'static str, String)> {
    let mut volumes = pod.volumes.iter().flatten();
    let own = volumes.find(|own| own.name == volume);
    let Some(own) = own.and_then(|own| own.empty_dir.as_ref()) else {
        return Vec::new();
    };
    let limit = own.size_limit.as_ref();
    let limit = limit.map(|limit| ("size-limit", limit.0.clone()));
    let is_memory = own.medium.as_deref() == Some("Memory");
    let medium = is_memory.then(|| ("medium", "memory".to_owned()));
    limit.into_iter().chain(medium).collect()
}
