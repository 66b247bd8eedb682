//! The Pod's own containers that read repositories.

use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::PodSpec;

use crate::model::request::PodOptions;

/// The list that a container is in.
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

/// All containers of a Pod, in the order in which they start.
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

/// The containers that get the files, in the Pod's order: the named ones or all, and the named init
/// containers.
pub(crate) fn selected<'a>(pod: &'a PodSpec, wide: &PodOptions) -> Vec<Reader<'a>> {
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
