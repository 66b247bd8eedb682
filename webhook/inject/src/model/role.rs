//! The roles of injected containers.

use crate::Mode;

/// The role of an injected container. A Pod has at most one of each, in this order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// Clones for the Pod's gitRepo volumes, and exits.
    GitRepo,
    /// The same, for volumes that another mutator added after the container above was injected.
    GitRepoLate,
    /// Fetches repositories once, and exits.
    Once,
    /// A sidecar that follows repositories.
    Sync,
}

impl Role {
    /// Every role, in the order in which the containers start.
    pub const ALL: [Self; 4] = [Self::GitRepo, Self::GitRepoLate, Self::Once, Self::Sync];

    /// The container's name.
    pub fn container(self) -> &'static str {
        match self {
            Self::GitRepo => "gitvolume-gitrepo",
            Self::GitRepoLate => "gitvolume-gitrepo-late",
            Self::Once => "gitvolume-once",
            Self::Sync => "gitvolume",
        }
    }

    /// Whether this is the name of an injected container.
    pub fn is_container_name(name: &str) -> bool {
        Self::ALL.iter().any(|role| role.container() == name)
    }

    pub(crate) fn of_mode(mode: Mode) -> Self {
        match mode {
            Mode::Once => Self::Once,
            Mode::Sync => Self::Sync,
        }
    }

    /// The base name of its state volume.
    pub(crate) fn state(self) -> &'static str {
        match self {
            Self::GitRepo => "gitvolume-gitrepo-state",
            Self::GitRepoLate => "gitvolume-gitrepo-late-state",
            Self::Once => "gitvolume-once-state",
            Self::Sync => "gitvolume-state",
        }
    }

    /// The container's `restartPolicy`: that of a native sidecar (KEP-753), or the Pod's.
    pub(crate) fn restart_policy(self) -> Option<&'static str> {
        (self == Self::Sync).then_some("Always")
    }
}
