//! Detection of an injection in a Pod: on a second call (`reinvocationPolicy: IfNeeded`), or in a
//! manifest that was copied from a running Pod.

use std::collections::BTreeSet;

use args::escape_for_kubelet;
use args::paths;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::PodSpec;
use serde_json::Value;

use crate::Key;
use crate::Mistake;
use crate::model::role::Role;
use crate::model::volume::Source;
use crate::plan::container;
use crate::plan::container::What;
use crate::plan::entry::Content;
use crate::plan::entry::Entry;
use crate::plan::entry::Wide;
use crate::plan::input::PlanInput;
use crate::pod::inline_config::config_of;
use crate::pod::reader;
use crate::pod::reader::List;
use crate::sources::status::Status;

/// The value of the annotation for a Pod without injected containers, for a reason that its status
/// gives.
pub(crate) const NONE: &str = "-";

/// The names of the injected containers in a Pod and of those that are added to it: sorted, without
/// duplicates.
pub(crate) fn names<'a>(pod: &'a PodSpec, added: impl Iterator<Item = &'a str>) -> String {
    let inits = pod.init_containers.iter().flatten();
    let ours = inits.filter(|own| is_ours(own)).map(|own| &*own.name);
    let names: BTreeSet<&str> = ours.chain(added).collect();
    Vec::from_iter(names).join(",")
}

/// Whether a container is an injected one, by name and program.
pub(crate) fn is_ours(container: &Container) -> bool {
    Role::is_container_name(&container.name)
        && container.command.as_deref() == Some(&[paths::PROGRAM.to_owned()])
}

/// The state of an injection in a Pod.
#[derive(Debug, PartialEq)]
pub(crate) enum Injected {
    /// These containers are missing; empty where the injection is complete.
    Missing(Vec<Role>),
    /// A container has the name of an injected one and other content.
    Other(Mistake),
}

/// Compares content, and only the parts that make the injection work: program, argv, the sources of
/// volumes, and a reader. Other mutators may change the rest, such as the image (a registry
/// mirror), the resources (LimitRanger) or further mounts and variables; those changes stay.
pub(crate) fn look(input: &PlanInput<'_>, status: Option<&Status>) -> Injected {
    let mut missing = Vec::new();
    for role in Role::ALL {
        let entries = input.entries(role);
        let named = named(input.pod, role);
        match &named[..] {
            [] if entries.is_empty() => {}
            [] => missing.push(role),
            [(List::InitContainers, own)] if is_same(input, own, role, entries, status) => {}
            [..] => return Injected::Other(foreign(role)),
        }
    }
    Injected::Missing(missing)
}

/// Whether a Pod has a container with the name of an injected one.
pub(crate) fn has_our_names(pod: &Value) -> bool {
    [List::InitContainers, List::Containers]
        .into_iter()
        .any(|list| has_our_names_in(pod, list))
}

/// The same for one list. Reads the raw document: most Pods have no injection and are not decoded.
pub(crate) fn has_our_names_in(pod: &Value, list: List) -> bool {
    let own = pod.get("spec").and_then(|spec| spec.get(list.key()));
    let own = own.and_then(Value::as_array).into_iter().flatten();
    let mut names = own.filter_map(|own| own.get("name")?.as_str());
    names.any(Role::is_container_name)
}

fn named(pod: &PodSpec, role: Role) -> Vec<(List, &Container)> {
    reader::all(pod)
        .filter(|reader| reader.container.name == role.container())
        .map(|reader| (reader.list, reader.container))
        .collect()
}

fn foreign(role: Role) -> Mistake {
    let sentence = format!(
        "{}: the Pod already has a container {:?} that differs from the one to inject; expected a Pod without it, such as the output of `gitvolume uninject` (or {}: \"false\")",
        Key::Repo.annotation(),
        role.container(),
        Key::Inject.annotation()
    );
    Mistake::new(Key::Repo, sentence)
}

fn is_same(
    input: &PlanInput<'_>,
    own: &Container,
    role: Role,
    entries: &[Entry],
    status: Option<&Status>,
) -> bool {
    let is_program = own.command.as_deref() == Some(&[paths::PROGRAM.to_owned()]);
    if entries.is_empty() {
        // Without the status nothing shows which volumes were gitRepo volumes.
        return role == Role::GitRepo && is_program;
    }
    let args = own.args.as_deref().unwrap_or_default();
    let config = config_of(own);
    let is_told = if status.is_none_or(|status| status.is_by(input.settings)) {
        // Another mutator may have added the Pod's fsGroup since.
        let is_told = |entries: &[Entry]| {
            [true, false].into_iter().any(|fs_group| {
                let wide = Wide {
                    fs_group,
                    ..input.told_to_all()
                };
                let syncer_config = container::syncer_config(role, entries, wide);
                args == syncer_config.args && config == syncer_config.config.as_deref()
            })
        };
        // The choice of the cache depends on the namespace's labels and on the Pod's DNS, which may
        // have changed since; the syncer works with any of them.
        let caches = &input.settings.cache;
        let others = caches.iter().map(Some).chain([None]);
        let mut others = others.filter(|_| !caches.is_empty());
        is_told(entries)
            || others.any(|cache| {
                let mut entries = entries.to_vec();
                entries.iter_mut().for_each(|entry| entry.set_cache(cache));
                is_told(&entries)
            })
    } else {
        // During an update of the webhook another version may have injected it: a different argv is
        // accepted for the same repositories.
        is_about(entries, args, config)
    };
    is_program
        && is_told
        && own.restart_policy.as_deref() == role.restart_policy()
        && has_volumes(input.pod, own, role, entries)
        && has_readers(input, own, role, entries)
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
    // As the kubelet passes it on.
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

/// Whether each volume is mounted where the syncer expects it and has the expected source, whatever
/// its name.
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

/// Whether the files of each request are mounted at its path in at least one container.
fn has_readers(input: &PlanInput<'_>, own: &Container, role: Role, entries: &[Entry]) -> bool {
    let requests = input
        .requests
        .iter()
        .filter(|request| Role::of_mode(request.mode) == role);
    let places = container::places(role, entries);
    // An incomplete template may have no container yet.
    if input.pod.containers.is_empty() {
        return true;
    }
    // The entries of a role begin with its requests.
    requests.zip(&places).all(|(request, place)| {
        let mut mounts = own.volume_mounts.iter().flatten();
        let Some(content) = mounts.find(|mount| mount.mount_path == place.path) else {
            return false;
        };
        reader::all(input.pod).any(|reader| {
            let mut mounts = reader.container.volume_mounts.iter().flatten();
            mounts.any(|mount| {
                mount.mount_path == request.mount_path.as_str() && mount.name == content.name
            })
        })
    })
}

#[cfg(test)]
mod tests;
