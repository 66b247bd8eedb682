//! The Pod's own containers that read repositories.

use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::PodSpec;

use crate::Mistake;
use crate::request::PodWide;
use crate::value::shown;
use crate::wanted::Wanted;

/// Which of a Pod's two lists a container is in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum List {
    /// `containers`.
    Containers,
    /// `initContainers`.
    InitContainers,
}

impl List {
    /// The list's key in a Pod's spec.
    pub fn key(self) -> &'static str {
        match self {
            Self::Containers => "containers",
            Self::InitContainers => "initContainers",
        }
    }
}

/// A container that may read a repository.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) list: List,
    pub(crate) index: usize,
    pub(crate) container: &'a Container,
}

impl Reader<'_> {
    pub(crate) fn is(&self, other: &Self) -> bool {
        (self.list, self.index) == (other.list, other.index)
    }

    pub(crate) fn mounts_any(&self, volumes: &[&str]) -> bool {
        let mounts = self.container.volume_mounts.iter().flatten();
        mounts
            .into_iter()
            .any(|mount| volumes.contains(&mount.name.as_str()))
    }
}

/// All containers of a Pod, those that start first first.
pub(crate) fn all(pod: &PodSpec) -> impl Iterator<Item = Reader<'_>> {
    let inits = pod.init_containers.as_deref().unwrap_or_default();
    listed(List::InitContainers, inits).chain(listed(List::Containers, &pod.containers))
}

fn listed(list: List, containers: &[Container]) -> impl Iterator<Item = Reader<'_>> {
    let containers = containers.iter().enumerate();
    containers.map(move |(index, container)| Reader {
        list,
        index,
        container,
    })
}

/// The containers that get the files, in the Pod's order: those named, or all; and the init
/// containers that are named.
pub(crate) fn selected<'a>(pod: &'a PodSpec, wide: &PodWide) -> Vec<Reader<'a>> {
    let is_named = |reader: &Reader<'_>| {
        let name = &reader.container.name;
        match reader.list {
            List::Containers => wide
                .containers
                .as_ref()
                .is_none_or(|names| names.contains(name)),
            List::InitContainers => wide.init_containers.contains(name),
        }
    };
    all(pod).filter(is_named).collect()
}

/// The names that are not the Pod's.
pub(crate) fn unknown(wanted: &Wanted<'_>) -> Vec<Mistake> {
    let (pod, wide) = (wanted.pod, wanted.wide);
    let containers = wide.containers.as_deref().unwrap_or_default();
    let lists = [
        ("containers", List::Containers, containers),
        (
            "init-containers",
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
            let expected = match known.is_empty() {
                true => format!("no {}, since it has none", wanted.key(None, key)),
                false => format!("names out of {}", known.join(", ")),
            };
            let sentence = format!(
                "{}: {}: the Pod has no such {what}; expected {expected}",
                wanted.key(None, key),
                shown(name)
            );
            mistakes.push(Mistake::new(key, sentence));
        }
    }
    mistakes
}
