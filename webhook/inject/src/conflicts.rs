//! What is asked for and the Pod does not allow.

use args::RepoUrl;

use crate::Mistake;
use crate::MountPath;
use crate::PREFIX;
use crate::Plan;
use crate::Request;
use crate::Resources;
use crate::Told;
use crate::container::CONFIG;
use crate::container::Role;
use crate::gitrepo;
use crate::position;
use crate::reader;
use crate::reader::Reader;
use crate::resources;
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
    let mut mistakes = reader::unknown(wanted);
    let selected = reader::selected(pod, wanted.wide);
    for (index, place) in places.iter().enumerate() {
        let own = selected.iter().filter_map(|reader| taken(reader, place));
        mistakes.extend(own);
        let others = &places[..index];
        mistakes.extend(others.iter().find_map(|other| twice(other, place)));
    }
    let contradictions = wanted.requests.iter();
    mistakes.extend(contradictions.filter_map(|own| contradiction(wanted, own)));
    mistakes.extend(position::mistakes(wanted));
    mistakes.extend(hosts(wanted));
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
        "{}: {} {how} {}, {}; expected a path that is neither in the other nor around it, such \
         as {}",
        other.key,
        shown(second),
        one.key,
        shown(first),
        shown(&beside(one, other)),
    );
    Some(Mistake::new("mount-path", sentence))
}

/// A path for the second of two that are in each other's way: `/rules` for the repository of that
/// name; where it is the unnamed one's, or taken, one that is told apart by its ending.
fn beside(one: &Place, other: &Place) -> String {
    let first = one.path.as_str();
    let last = other.path.as_str().rsplit('/').next().unwrap_or_default();
    let parent = first.rsplit_once('/').map_or("", |(parent, _)| parent);
    let last_of_first = first.rsplit('/').next();
    match Some(last) == last_of_first {
        true => format!("{parent}/{last}-2"),
        false => format!("{parent}/{last}"),
    }
}

fn contradiction(wanted: &Wanted<'_>, request: &Request) -> Option<Mistake> {
    let subdir = request.subdir.as_ref().filter(|_| request.link.is_some())?;
    let name = request.name.as_ref();
    let sentence = format!(
        "{}: {}: expected no {} beside it: below the link the directory has its own name",
        wanted.key(name, "subdir"),
        shown(&subdir.to_string()),
        wanted.key(name, "link"),
    );
    Some(Mistake::new("subdir", sentence))
}

/// Where a repository may be is the operator's to say; of a password in an address nothing is
/// repeated.
fn hosts(wanted: &Wanted<'_>) -> Vec<Mistake> {
    let settings = wanted.settings;
    let unfit = |repo: &RepoUrl| {
        let host = repo.host();
        let is_allowed = settings.allows_host(host.as_deref());
        (!is_allowed).then(|| {
            let host = host.map_or_else(
                || "an address whose host is not plain to see".to_owned(),
                |host| format!("host {}", shown(&host)),
            );
            let allowed = settings.allowed_hosts.join(", ");
            format!("{host}: expected one that the operator allows: {allowed}")
        })
    };
    let requests = wanted.requests.iter().filter_map(|request| {
        let key = wanted.key(request.name.as_ref(), "repo");
        Some(Mistake::new(
            "repo",
            format!("{key}: {}", unfit(&request.repo)?),
        ))
    });
    let git_repos = wanted.git_repos.iter().filter_map(|volume| {
        let sentence = format!("repository: {}", unfit(&volume.repository)?);
        Some(gitrepo::mistake(&volume.volume, &sentence))
    });
    requests.chain(git_repos).collect()
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
    let key = wanted.key(None, "image");
    let sentence = format!("{key}: {}: expected {expected}", shown(image));
    Some(Mistake::new("image", sentence))
}

/// All containers of a Pod share its ports.
fn port(wanted: &Wanted<'_>) -> Option<Mistake> {
    let (port, taken) = port_taken(wanted)?;
    let key = wanted.key(None, "metrics-port");
    let sentence = format!(
        "{key}: \"{port}\": container {} has that port; expected another one",
        shown(&taken.container.name)
    );
    Some(Mistake::new("metrics-port", sentence))
}

/// The metrics port, and a container that has it.
pub(crate) fn port_taken<'a>(wanted: &Wanted<'a>) -> Option<(u16, Reader<'a>)> {
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
    Some((port, taken))
}

fn resources(wanted: &Wanted<'_>) -> Option<Mistake> {
    let own = &wanted.wide.resources;
    let is_sidecar = !wanted.entries(Role::Sync).is_empty();
    if let Some((above, left)) = Resources::above_pod(wanted.pod, own, is_sidecar) {
        let (list, name, amount) = above;
        let key = resources_key(list, name);
        let whole = wanted.key(None, key);
        let sentence = format!(
            "{whole}: \"{amount}\": expected at most {left}, which is what the Pod's own \
             spec.resources leave for it"
        );
        return Some(Mistake::new(key, sentence));
    }
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
    let key = resources_key(list, name);
    let whole = wanted.key(None, key);
    let words = resources::inverted(&request, &limit);
    Some(Mistake::new(key, format!("{whole}: {words}")))
}

fn resources_key(list: &str, name: &str) -> &'static str {
    match (list, name) {
        ("requests", "cpu") => "resources.requests.cpu",
        ("requests", "memory") => "resources.requests.memory",
        ("requests", _) => "resources.requests.ephemeral-storage",
        (_, "cpu") => "resources.limits.cpu",
        (_, "memory") => "resources.limits.memory",
        (_, _) => "resources.limits.ephemeral-storage",
    }
}

/// Linux takes no single text of a program's arguments and environment that is longer, its last
/// zero included (`MAX_ARG_STRLEN`): the container would be made and never start.
const LONGEST: usize = 128 * 1024;

pub(crate) fn too_long(plan: &Plan) -> Option<Mistake> {
    plan.syncers.iter().find_map(|syncer| {
        let Told { args, config } = &syncer.told;
        let config = config
            .as_ref()
            .map(|config| CONFIG.len() + 1 + config.len());
        let texts = args.iter().map(String::len).chain(config);
        let length = texts.max().filter(|length| *length >= LONGEST)?;
        let sentence = format!(
            "{PREFIX}repo: container {} would be told {length} bytes at once; expected annotations \
             that make it less than {LONGEST}, such as shorter patterns of sparse-checkout",
            syncer.name()
        );
        Some(Mistake::new("repo", sentence))
    })
}

#[cfg(test)]
mod tests {
    use crate::Namespace;
    use crate::Review;
    use crate::Settings;
    use crate::answer;
    use serde_json::json;

    /// The refusal for an address of this length.
    fn refusal(length: usize, more: bool) -> Option<String> {
        let mut pod = json!({
            "metadata": {"annotations": {
                "gitvolume.dev/repo": format!("https://git.example/{}", "a".repeat(length - 20)),
            }},
            "spec": {"containers": [{"name": "web"}]},
        });
        if more {
            pod["metadata"]["annotations"]["gitvolume.dev/b.repo"] = json!("https://git.example/b");
            pod["metadata"]["annotations"]["gitvolume.dev/b.mount-path"] = json!("/b");
        }
        let settings = Settings::new("syncer:1");
        let answer = answer(&Review::of_pod(pod), &settings, &Namespace::default()).unwrap();
        match answer.outcome {
            crate::Outcome::Deny(refusal) => Some(refusal.to_string()),
            _ => None,
        }
    }

    #[test]
    fn what_is_too_long_for_an_argv_or_a_variable_is_refused() {
        for more in [false, true] {
            assert_eq!(refusal(100_000, more), None);
            let refusal = refusal(131_100, more).unwrap();
            assert!(refusal.contains("expected annotations that make it less than 131072"));
        }
    }
}
