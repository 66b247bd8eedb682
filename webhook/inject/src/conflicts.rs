//! What is asked for and the Pod does not allow, and what is allowed and may yet surprise.

use args::RepoKind;

use crate::Mistake;
use crate::MountPath;
use crate::PREFIX;
use crate::Request;
use crate::annotations::full_key;
use crate::container::Role;
use crate::plan::configures_git;
use crate::position;
use crate::reader;
use crate::reader::Reader;
use crate::value::shown;
use crate::wanted::Wanted;

/// A mount path and the key that names it, also of a repository that something else is wrong with.
pub(crate) struct Place {
    pub(crate) key: String,
    pub(crate) path: MountPath,
    /// Which of our containers it is for.
    pub(crate) role: Role,
}

/// What is asked for and the Pod does not allow.
pub(crate) fn mistakes(wanted: &Wanted<'_>, places: &[Place]) -> Vec<Mistake> {
    let pod = wanted.pod;
    let mut mistakes = reader::unknown(pod, wanted.wide);
    let selected = reader::selected(pod, wanted.wide);
    for (index, place) in places.iter().enumerate() {
        let own = selected.iter().filter_map(|reader| taken(reader, place));
        mistakes.extend(own);
        let others = &places[..index];
        mistakes.extend(others.iter().find_map(|other| twice(other, place)));
    }
    mistakes.extend(wanted.requests.iter().filter_map(contradiction));
    mistakes.extend(position::mistakes(wanted));
    mistakes.extend(image(wanted));
    mistakes.extend(port(wanted));
    mistakes.extend(resources(wanted));
    mistakes.extend(wanted.wide.uses.iter().map(|name| {
        let sentence = format!(
            "{PREFIX}use: {}: the namespace has no such GitVolume; expected the name of one",
            shown(name)
        );
        Mistake::new("use", sentence)
    }));
    mistakes
}

/// What is allowed and yet may not be what the author wants.
pub(crate) fn warnings(wanted: &Wanted<'_>) -> Vec<String> {
    let mut warnings: Vec<String> = Vec::new();
    for request in wanted.requests {
        warnings.extend(without_key(request));
        let readers = wanted.readers();
        let below = readers.iter().filter_map(|reader| below(reader, request));
        warnings.extend(below);
    }
    if wanted.wide.metrics_port.is_some() && wanted.entries(Role::Sync).is_empty() {
        warnings.push(format!(
            "{PREFIX}metrics-port: nothing is served there: nothing is followed"
        ));
    }
    if wanted.wide.safe_directory {
        let readers = reader::all(wanted.pod);
        let own = readers.filter(|reader| configures_git(reader));
        warnings.extend(own.map(|reader| {
            format!(
                "{PREFIX}safe-directory: container {} has GIT_CONFIG_* of its own and is left alone",
                reader.container.name
            )
        }));
    }
    warnings
}

/// Two things in one place: the API server would refuse the Pod, in words that do not say whose
/// mount it was.
fn taken(reader: &Reader<'_>, place: &Place) -> Option<Mistake> {
    let own = reader.container;
    let path = place.path.as_str();
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
        "{}: {path}: container {container} already mounts volume {volume} there; expected a path \
         of its own",
        place.key
    );
    Some(Mistake::new("mount-path", sentence))
}

/// Two repositories in one place, or one inside the other, where the runtime could not make the
/// place of its mount.
fn twice(one: &Place, other: &Place) -> Option<Mistake> {
    let (first, second) = (one.path.as_str(), other.path.as_str());
    let how = if first == second {
        "is that of"
    } else if one.path.is_above(second) {
        "is below that of"
    } else if other.path.is_above(first) {
        "is above that of"
    } else {
        return None;
    };
    let sentence = format!(
        "{}: {} {how} {}; expected a path of its own",
        other.key,
        shown(second),
        one.key
    );
    Some(Mistake::new("mount-path", sentence))
}

fn contradiction(request: &Request) -> Option<Mistake> {
    let subdir = request.subdir.as_ref().filter(|_| request.link.is_some())?;
    let name = request.name.as_ref();
    let sentence = format!(
        "{}: {}: expected no {} beside it: below the link the directory has its own name",
        full_key(name, "subdir"),
        shown(subdir),
        full_key(name, "link"),
    );
    Some(Mistake::new("subdir", sentence))
}

/// An image of the author's runs with the Secret's credentials: the operator says which may.
fn image(wanted: &Wanted<'_>) -> Option<Mistake> {
    let settings = wanted.settings;
    let image = wanted.wide.image.as_ref()?;
    if *image == settings.image || settings.allows_image(image) {
        return None;
    }
    let expected = match settings.allowed_images.is_empty() {
        true => "no such key, since the operator allows no other image".to_owned(),
        false => format!(
            "one that the operator allows: {}",
            settings.allowed_images.join(", ")
        ),
    };
    let sentence = format!("{PREFIX}image: {}: expected {expected}", shown(image));
    Some(Mistake::new("image", sentence))
}

/// All containers of a Pod share its ports.
fn port(wanted: &Wanted<'_>) -> Option<Mistake> {
    let port = wanted.wide.metrics_port?;
    let is_taken = |reader: &Reader<'_>| {
        let ports = reader.container.ports.iter().flatten();
        ports.into_iter().any(|own| {
            let is_tcp = own
                .protocol
                .as_deref()
                .is_none_or(|protocol| protocol == "TCP");
            own.container_port == i32::from(port) && is_tcp
        })
    };
    let ours = Role::Sync.container();
    let taken = reader::all(wanted.pod)
        .filter(|reader| reader.container.name != ours)
        .find(is_taken)?;
    let sentence = format!(
        "{PREFIX}metrics-port: \"{port}\": container {} has that port; expected another one",
        shown(&taken.container.name)
    );
    Some(Mistake::new("metrics-port", sentence))
}

fn resources(wanted: &Wanted<'_>) -> Option<Mistake> {
    let (name, request, limit) = wanted
        .settings
        .resources
        .inverted(wanted.pod, &wanted.wide.resources)?;
    let list = match wanted
        .wide
        .resources
        .iter()
        .any(|own| own.0 == "requests" && own.1 == name)
    {
        true => "requests",
        false => "limits",
    };
    let key = match (list, name) {
        ("requests", "cpu") => "resources.requests.cpu",
        ("requests", "memory") => "resources.requests.memory",
        ("requests", _) => "resources.requests.ephemeral-storage",
        (_, "cpu") => "resources.limits.cpu",
        (_, "memory") => "resources.limits.memory",
        (_, _) => "resources.limits.ephemeral-storage",
    };
    let sentence = format!(
        "{PREFIX}{key}: the request {request} is above the limit {limit}; expected a limit that \
         is not below the request"
    );
    Some(Mistake::new(key, sentence))
}

/// The runtime makes the place of a mount below another one, and ours is read-only: it works only
/// if the repository has that directory.
fn below(reader: &Reader<'_>, request: &Request) -> Option<String> {
    let own = reader.container;
    let mut mounts = own.volume_mounts.iter().flatten();
    let mount = mounts.find(|mount| request.mount_path.is_above(&mount.mount_path))?;
    Some(format!(
        "{}: container {} may not start: it mounts {} below that path",
        full_key(request.name.as_ref(), "mount-path"),
        own.name,
        mount.mount_path
    ))
}

/// The warning for an ssh address without a key.
fn without_key(request: &Request) -> Option<String> {
    let needs_key = request.repo.kind() == RepoKind::Ssh && request.secret.is_none();
    let name = request.name.as_ref();
    needs_key.then(|| {
        format!(
            "{}: ssh needs a key and known_hosts: name their Secret with {}",
            full_key(name, "repo"),
            full_key(name, "secret")
        )
    })
}
