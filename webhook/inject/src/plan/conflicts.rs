//! Conflicts between the requests and the Pod.

use args::RepoUrl;
use url::Host;
use url::Url;

use crate::Key;
use crate::List;
use crate::Mistake;
use crate::Mode;
use crate::Plan;
use crate::Request;
use crate::Resources;
use crate::SyncerConfig;
use crate::keys::value::shown;
use crate::model::place::Place;
use crate::model::role::Role;
use crate::plan::input::PlanInput;
use crate::plan::position;
use crate::pod::inline_config::CONFIG;
use crate::pod::reader;
use crate::pod::reader::Reader;
use crate::pod::reader::all;
use crate::pod::resources;
use crate::sources::gitrepo;

/// The conflicts between the requests and the Pod, as mistakes.
pub(crate) fn mistakes(input: &PlanInput<'_>, places: &[Place]) -> Vec<Mistake> {
    let pod = input.pod;
    let mut mistakes = unknown(input);
    let selected = reader::selected(pod, input.wide);
    for (index, place) in places.iter().enumerate() {
        let own = selected
            .iter()
            .filter_map(|reader| path_taken(reader, place));
        mistakes.extend(own);
        let others = &places[..index];
        mistakes.extend(others.iter().find_map(|other| overlap(other, place)));
    }
    let contradictions = input.requests.iter();
    mistakes.extend(contradictions.flat_map(|request| {
        let subdir = contradiction(input, request);
        let layout = layout_beside_link(input, request);
        let all = subdir.into_iter().chain(layout);
        all.chain(call_before_start(input, request))
    }));
    mistakes.extend(position::mistakes(input));
    mistakes.extend(hosts(input));
    mistakes.extend(image(input));
    mistakes.extend(port(input));
    mistakes.extend(resources(input));
    mistakes.extend(input.wide.uses.iter().map(|name| {
        let sentence = format!(
            "{}: {}: the namespace has no such GitVolume; expected the name of an existing one",
            Key::Use.annotation(),
            shown(name)
        );
        Mistake::new(Key::Use, sentence)
    }));
    mistakes
}

/// The mistake of a mount path that the Pod uses already: the API server would refuse the Pod with
/// a message that does not name the annotation.
fn path_taken(reader: &Reader<'_>, place: &Place) -> Option<Mistake> {
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
        "{}: {path}: container {container} already mounts volume {volume} at this path; expected a different path",
        place.key
    );
    Some(Mistake::new(Key::MountPath, sentence))
}

/// The mistake of two repositories with the same mount path or nested ones: the runtime could not
/// create the inner mount point.
fn overlap(one: &Place, other: &Place) -> Option<Mistake> {
    let (first, second) = (one.path.as_str(), other.path.as_str());
    let how = if first == second {
        "is also the path of"
    } else if one.path.is_above(second) {
        "is inside the path of"
    } else if other.path.is_above(first) {
        "contains the path of"
    } else {
        return None;
    };
    let sentence = format!(
        "{}: {} {how} {}, {}; mount paths must not be equal or nested; expected another path, such as {}",
        other.key,
        shown(second),
        one.key,
        shown(first),
        shown(&suggested_path(one, other)),
    );
    Some(Mistake::new(Key::MountPath, sentence))
}

/// A suggested path for the second of two conflicting repositories: a sibling of the first path
/// with the last segment of its own path; `-2` is appended where both are equal.
fn suggested_path(one: &Place, other: &Place) -> String {
    let first = one.path.as_str();
    let last = other.path.as_str().rsplit('/').next().unwrap_or_default();
    let parent = first.rsplit_once('/').map_or("", |(parent, _)| parent);
    let last_of_first = first.rsplit('/').next();
    if Some(last) == last_of_first {
        format!("{parent}/{last}-2")
    } else {
        format!("{parent}/{last}")
    }
}

fn contradiction(input: &PlanInput<'_>, request: &Request) -> Option<Mistake> {
    let subdir = request.subdir.as_ref().filter(|_| request.link.is_some())?;
    let name = request.name.as_ref();
    let sentence = format!(
        "{}: {}: expected no {} together with it: the whole repository is below the link, including this directory",
        input.key(name, Key::Subdir),
        shown(&subdir.to_string()),
        input.key(name, Key::Link),
    );
    Some(Mistake::new(Key::Subdir, sentence))
}

/// The mistake of a layout together with a link, which selects a layout of its own.
fn layout_beside_link(input: &PlanInput<'_>, request: &Request) -> Option<Mistake> {
    let name = request.name.as_ref();
    let group = input.requested.group(name)?;
    let layout = group.values.get(Key::Layout)?;
    request.link.as_ref()?;
    let sentence = format!(
        "{}: {}: expected no {} together with it: a link selects the link layout",
        input.key(name, Key::Layout),
        shown(&layout.value),
        input.key(name, Key::Link),
    );
    Some(Mistake::new(Key::Layout, sentence))
}

/// The mistake of a call to the Pod itself with `mode: once`: its containers start after the syncer
/// has ended, and a one-time sync fails where its first call fails.
fn call_before_start(input: &PlanInput<'_>, request: &Request) -> Option<Mistake> {
    let notify = request.notify.as_ref()?;
    if request.mode != Mode::Once || !is_loopback(notify) {
        return None;
    }
    let name = request.name.as_ref();
    let sentence = format!(
        "{}: {}: with {} once, the syncer calls it before the Pod's containers start; expected an address outside the Pod",
        input.key(name, Key::Notify),
        shown(notify),
        input.key(name, Key::Mode),
    );
    Some(Mistake::new(Key::Notify, sentence))
}

fn is_loopback(address: &str) -> bool {
    let host = Url::parse(address)
        .ok()
        .and_then(|url| url.host().map(|host| host.to_owned()));
    match host {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Checks the hosts that the operator allows; of an address with a password, nothing is repeated.
fn hosts(input: &PlanInput<'_>) -> Vec<Mistake> {
    let settings = input.settings;
    let refused = |repo: &RepoUrl| {
        let host = repo.host();
        let is_allowed = settings.allows_host(host.as_deref());
        (!is_allowed).then(|| {
            let host = host.map_or_else(
                || "an address whose host cannot be determined".to_owned(),
                |host| format!("host {}", shown(&host)),
            );
            let allowed = settings.allowed_hosts.join(", ");
            format!("{host}: expected one that the cluster's gitvolume settings allow: {allowed}")
        })
    };
    let requests = input.requests.iter().filter_map(|request| {
        let key = input.key(request.name.as_ref(), Key::Repo);
        Some(Mistake::new(
            Key::Repo,
            format!("{key}: {}", refused(&request.repo)?),
        ))
    });
    let git_repos = input.git_repos.iter().filter_map(|volume| {
        let sentence = format!("repository: {}", refused(&volume.repository)?);
        Some(gitrepo::volume::mistake(&volume.volume, &sentence))
    });
    requests.chain(git_repos).collect()
}

/// Checks the author's image against the operator's list: it runs with the Secret's credentials.
fn image(input: &PlanInput<'_>) -> Option<Mistake> {
    let settings = input.settings;
    let image = input.wide.image.as_ref()?;
    if *image == settings.image || settings.allows_image(image) {
        return None;
    }
    let allowed = settings.allowed_images.join(", ");
    let expected = if allowed.is_empty() {
        "no such annotation: the cluster's gitvolume settings allow no other image".to_owned()
    } else {
        format!("one that the cluster's gitvolume settings allow: {allowed}")
    };
    let key = input.key(None, Key::Image);
    let sentence = format!("{key}: {}: expected {expected}", shown(image));
    Some(Mistake::new(Key::Image, sentence))
}

/// Checks the metrics port: all containers of a Pod share its ports.
fn port(input: &PlanInput<'_>) -> Option<Mistake> {
    let (port, applied_object) = port_taken(input)?;
    let key = input.key(None, Key::MetricsPort);
    let sentence = format!(
        "{key}: \"{port}\": container {} already uses this port; expected another port",
        shown(&applied_object.container.name)
    );
    Some(Mistake::new(Key::MetricsPort, sentence))
}

/// The metrics port, and another container that uses it.
pub(crate) fn port_taken<'a>(input: &PlanInput<'a>) -> Option<(u16, Reader<'a>)> {
    let port = input.wide.metrics_port?;
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
    let applied_object = reader::all(input.pod)
        .filter(|reader| reader.container.name != ours)
        .find(is_taken)?;
    Some((port, applied_object))
}

fn resources(input: &PlanInput<'_>) -> Option<Mistake> {
    let own = &input.wide.resources;
    let is_sidecar = !input.entries(Role::Sync).is_empty();
    if let Some((above, left)) = Resources::above_pod(input.pod, own, is_sidecar) {
        let (list, name, amount) = above;
        let key = Key::of_resource(list, name)?;
        let whole = input.key(None, key);
        let sentence = format!(
            "{whole}: \"{amount}\": expected at most {left}, the part of the Pod-level spec.resources that the Pod's own containers leave unused"
        );
        return Some(Mistake::new(key, sentence));
    }
    let (name, request, limit) = input
        .settings
        .resources
        .inverted(input.pod, &input.wide.resources)?;
    let list = if input
        .wide
        .resources
        .iter()
        .any(|own| own.0 == "requests" && own.1 == name)
    {
        "requests"
    } else {
        "limits"
    };
    let key = Key::of_resource(list, name)?;
    let whole = input.key(None, key);
    let words = resources::inverted(&request, &limit);
    Some(Mistake::new(key, format!("{whole}: {words}")))
}

/// Linux accepts no longer argument or environment string, the terminating zero included
/// (`MAX_ARG_STRLEN`): the container would be created and never start.
const LONGEST: usize = 128 * 1024;

pub(crate) fn too_long(plan: &Plan) -> Option<Mistake> {
    plan.syncers.iter().find_map(|syncer| {
        let SyncerConfig { args, config } = &syncer.syncer_config;
        let config = config
            .as_ref()
            .map(|config| CONFIG.len() + 1 + config.len());
        let texts = args.iter().map(String::len).chain(config);
        let length = texts.max().filter(|length| *length >= LONGEST)?;
        let sentence = format!(
            "{}: container {} would be told {length} bytes in one argument or variable; expected annotations that keep it below {LONGEST}, such as shorter patterns of {}",
            Key::Repo.annotation(),
            syncer.name(),
            Key::SparseCheckout
        );
        Some(Mistake::new(Key::Repo, sentence))
    })
}

/// The names in annotations that no container of the Pod has.
pub(crate) fn unknown(input: &PlanInput<'_>) -> Vec<Mistake> {
    let (pod, wide) = (input.pod, input.wide);
    let containers = wide.containers.as_deref().unwrap_or_default();
    let lists = [
        (Key::Containers, List::Containers, containers),
        (
            Key::InitContainers,
            List::InitContainers,
            &wide.init_containers,
        ),
    ];
    let mut mistakes = Vec::new();
    for (key, list, names) in lists {
        let known: Vec<&str> = all(pod)
            .filter(|reader| reader.list == list)
            .map(|reader| reader.container.name.as_str())
            .collect();
        for name in names.iter().filter(|name| !known.contains(&name.as_str())) {
            let what = match list {
                List::Containers => "container",
                List::InitContainers => "init container",
            };
            let expected = if known.is_empty() {
                format!("no {}, because the Pod has none", input.key(None, key))
            } else {
                format!("one or more of {}", known.join(", "))
            };
            let sentence = format!(
                "{}: {}: the Pod has no such {what}; expected {expected}",
                input.key(None, key),
                shown(name)
            );
            mistakes.push(Mistake::new(key, sentence));
        }
    }
    mistakes
}

#[cfg(test)]
mod tests {
    use crate::Namespace;
    use crate::Review;
    use crate::Settings;
    use crate::answer;
    use serde_json::json;

    /// The sentence of the refusal of an address of this length.
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
    fn values_too_long_for_an_argv_or_a_variable_are_refused() {
        for more in [false, true] {
            assert_eq!(refusal(100_000, more), None);
            let refusal = refusal(131_100, more).unwrap();
            assert!(refusal.contains("expected annotations that keep it below 131072"));
        }
    }
}
