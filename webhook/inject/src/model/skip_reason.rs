//! The reasons to skip a Pod.

use std::fmt;

/// The reason why a Pod is not changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SkipReason {
    /// The Pod already contains the syncer.
    AlreadyInjected,
    /// The operator excludes the namespace.
    ExcludedNamespace,
    /// The operator does not convert gitRepo volumes, and nothing else is requested.
    GitRepoTurnedOff,
    /// The API object of a static Pod: the kubelet runs its own file, so a change would have no
    /// effect.
    MirrorPod,
    /// The review is not about the creation of a Pod.
    NotAPodCreation,
    /// Nothing is requested.
    NotRequested,
    /// `gitvolume.dev/inject: "false"`, or `gitvolume.dev/gitrepo: "off"` and nothing else is
    /// requested.
    OptedOut,
    /// A workload with a Pod template: its mistakes are reported as warnings, and its Pods are
    /// reviewed one by one.
    Template,
    /// There is no syncer for Windows.
    Windows,
}

impl SkipReason {
    /// Every reason, for a metric that starts all its series at zero.
    pub const ALL: [Self; 9] = [
        Self::AlreadyInjected,
        Self::ExcludedNamespace,
        Self::GitRepoTurnedOff,
        Self::MirrorPod,
        Self::NotAPodCreation,
        Self::NotRequested,
        Self::OptedOut,
        Self::Template,
        Self::Windows,
    ];

    /// Whether the status of the Pod records the reason, since its author may expect files.
    pub(crate) fn is_noted(self) -> bool {
        matches!(
            self,
            Self::ExcludedNamespace | Self::GitRepoTurnedOff | Self::Windows
        )
    }

    /// The reason as a metric's label; a closed set.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AlreadyInjected => "already-injected",
            Self::ExcludedNamespace => "excluded-namespace",
            Self::GitRepoTurnedOff => "gitrepo-turned-off",
            Self::MirrorPod => "mirror-pod",
            Self::NotAPodCreation => "not-a-pod-creation",
            Self::NotRequested => "not-requested",
            Self::OptedOut => "opted-out",
            Self::Template => "template",
            Self::Windows => "windows",
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
