//! Tells what of an injection a Pod has: on a second call (`reinvocationPolicy: IfNeeded`), or
//! where the manifest was taken from a running Pod.

use std::collections::BTreeSet;

use args::escape_for_kubelet;
use args::paths;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::PodSpec;
use serde_json::Value;

use crate::Mistake;
use crate::PREFIX;
use crate::container;
use crate::container::CONFIG;
use crate::container::Role;
use crate::container::What;
use crate::container::Wide;
use crate::entry::Content;
use crate::entry::Entry;
use crate::reader;
use crate::reader::List;
use crate::status::Status;
use crate::volume::Source;
use crate::wanted::Wanted;

/// The annotation that lists our containers in a Pod. The guard holds it against the Pod: CEL has no
/// JSON, and need not know what was requested, or by what.
pub(crate) const KEY: &str = "gitvolume.dev/injected";

/// The list of a Pod that has none, for a reason that its status gives.
pub(crate) const NONE: &str = "-";

/// The names of our containers in a Pod, and of those that are added to it: sorted, each once.
pub(crate) fn names<'a>(pod: &'a PodSpec, added: impl Iterator<Item = &'a str>) -> String {
    let inits = pod.init_containers.iter().flatten();
    let ours = inits.filter(|own| is_ours(own)).map(|own| &*own.name);
    let names: BTreeSet<&str> = ours.chain(added).collect();
    Vec::from_iter(names).join(",")
}

/// Tells whether a container is ours, by name and program.
pub(crate) fn is_ours(container: &Container) -> bool {
    Role::ALL
        .iter()
        .any(|role| role.container() == container.name)
        && container.command.as_deref() == Some(&[paths::PROGRAM.to_owned()])
}

/// How much of an injection is in a Pod.
#[derive(Debug, PartialEq)]
pub(crate) enum Injected {
    /// These containers are still to be added: none, where all of it is there.
    Missing(Vec<Role>),
    /// A container has our name and other content.
    Other(Mistake),
}

/// Judges by content, and only by what makes the injection: program, argv, volumes by what they
/// are, and a reader. Other mutators may rightly change the rest, such as the image (a mirror),
/// the resources (LimitRanger) or further mounts and variables, and it stays theirs.
pub(crate) fn look(wanted: &Wanted<'_>, status: Option<&Status>) -> Injected {
    let mut missing = Vec::new();
    for role in Role::ALL {
        let entries = wanted.entries(role);
        let named = named(wanted.pod, role);
        match &named[..] {
            [] if entries.is_empty() => {}
            [] => missing.push(role),
            [(List::InitContainers, own)] if is_same(wanted, own, role, entries, status) => {}
            [..] => return Injected::Other(foreign(role)),
        }
    }
    Injected::Missing(missing)
}

/// Tells whether a Pod has a container of a name of ours.
pub(crate) fn has_our_names(pod: &Value) -> bool {
    [List::InitContainers, List::Containers]
        .into_iter()
        .any(|list| has_our_names_in(pod, list))
}

/// The same of one list. Looks at the raw document: most Pods are none of ours, and are not decoded.
pub(crate) fn has_our_names_in(pod: &Value, list: List) -> bool {
    let own = pod.get("spec").and_then(|spec| spec.get(list.key()));
    let own = own.and_then(Value::as_array).into_iter().flatten();
    let mut names = own.filter_map(|own| own.get("name")?.as_str());
    names.any(|name| Role::ALL.iter().any(|role| role.container() == name))
}

fn named(pod: &PodSpec, role: Role) -> Vec<(List, &Container)> {
    reader::all(pod)
        .filter(|reader| reader.container.name == role.container())
        .map(|reader| (reader.list, reader.container))
        .collect()
}

fn foreign(role: Role) -> Mistake {
    let sentence = format!(
        "{PREFIX}repo: the Pod already has a container {:?} that is not the one to be injected; \
         expected a Pod without it (or {PREFIX}inject: \"false\")",
        role.container()
    );
    Mistake::new("repo", sentence)
}

fn is_same(
    wanted: &Wanted<'_>,
    own: &Container,
    role: Role,
    entries: &[Entry],
    status: Option<&Status>,
) -> bool {
    let is_program = own.command.as_deref() == Some(&[paths::PROGRAM.to_owned()]);
    if entries.is_empty() {
        // What was a gitRepo volume cannot be seen any more where the status is lost.
        return role == Role::GitRepo && is_program;
    }
    let args = own.args.as_deref().unwrap_or_default();
    let config = config_of(own);
    let is_told = if status.is_none_or(|status| status.is_by(wanted.settings)) {
        // Another mutator may have given the Pod its fsGroup since.
        [true, false].into_iter().any(|fs_group| {
            let wide = Wide {
                fs_group,
                ..wanted.told_to_all()
            };
            let told = container::told(role, entries, wide);
            args == told.args && config == told.config.as_deref()
        })
    } else {
        // Another replica injected it, in the midst of an update of ours: what it is told is as
        // good, if it is about the same repositories.
        is_about(entries, args, config)
    };
    is_program
        && is_told
        && own.restart_policy.as_deref() == role.restart_policy()
        && has_volumes(wanted.pod, own, role, entries)
        && has_readers(wanted, own, role, entries)
}

/// What a container of ours is told about several repositories, as the kubelet gets it.
pub(crate) fn config_of(own: &Container) -> Option<&str> {
    let mut env = own.env.iter().flatten();
    env.find(|own| own.name == CONFIG)?.value.as_deref()
}

fn is_about(entries: &[Entry], args: &[String], config: Option<&str>) -> bool {
    let mut wanted: Vec<&str> = entries
        .iter()
        .filter_map(|entry| Some(entry.args.repo.as_ref()?.reveal()))
        .collect();
    wanted.sort_unstable();
    let Some(config) = config else {
        let [repo] = wanted[..] else { return false };
        let repo = format!("--repo={}", escape_for_kubelet(repo));
        return args.contains(&repo);
    };
    // As the kubelet hands it on.
    let config = config.replace("$$", "$");
    let config: Value = serde_json::from_str(&config).unwrap_or_default();
    let repos = config["repos"].as_object();
    let mut found: Vec<&str> = repos
        .into_iter()
        .flatten()
        .filter_map(|(_, entry)| entry["repo"].as_str())
        .collect();
    found.sort_unstable();
    found == wanted
}

/// Each volume is where the syncer expects it and is what it is meant to be, whatever its name.
fn has_volumes(pod: &PodSpec, own: &Container, role: Role, entries: &[Entry]) -> bool {
    container::places(role, entries).iter().all(|place| {
        let mut mounts = own.volume_mounts.iter().flatten();
        let mount = mounts.find(|mount| {
            mount.mount_path == place.path && mount.read_only.unwrap_or(false) == place.read_only
        });
        let volume = mount.and_then(|mount| {
            let mut volumes = pod.volumes.iter().flatten();
            volumes.find(|volume| volume.name == mount.name)
        });
        volume.is_some_and(|volume| match place.what {
            What::Content(Content::Ours { source, .. }) => source.is_that_of(volume),
            What::Content(Content::Pods {
                volume: name,
                source,
            }) => volume.name == *name && source.is_that_of(volume),
            What::NoToken | What::State(_) => Source::EMPTY.is_that_of(volume),
            What::Secret { name, is_optional } => {
                let name = name.to_owned();
                Source::Secret { name, is_optional }.is_that_of(volume)
            }
        })
    })
}

/// The files of each request are where it wants them, in some container.
fn has_readers(wanted: &Wanted<'_>, own: &Container, role: Role, entries: &[Entry]) -> bool {
    let requests = wanted
        .requests
        .iter()
        .filter(|request| Role::of_mode(request.mode) == role);
    let places = container::places(role, entries);
    // A template in the making may have no container yet.
    if wanted.pod.containers.is_empty() {
        return true;
    }
    // The entries of a role begin with its requests.
    requests.zip(&places).all(|(request, place)| {
        let mut mounts = own.volume_mounts.iter().flatten();
        let Some(content) = mounts.find(|mount| mount.mount_path == place.path) else {
            return false;
        };
        reader::all(wanted.pod).any(|reader| {
            let mut mounts = reader.container.volume_mounts.iter().flatten();
            mounts.any(|mount| {
                mount.mount_path == request.mount_path.as_str() && mount.name == content.name
            })
        })
    })
}

#[cfg(test)]
mod tests;
