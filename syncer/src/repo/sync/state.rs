//! The state of one repository between two passes: one value, so that everything known about a
//! repository is discarded together with it.

use crate::git::Hash;
use crate::repo::mirror::Check;
use crate::repo::snapshot::PublishedSnapshot;

/// The state that the next pass starts from. Each step of a pass returns the next state.
pub(crate) enum RepoState {
    /// The disk must be checked first: an earlier process or a failed pass may have left it in any
    /// state.
    Unverified(Check),
    /// The disk was checked; no pass has succeeded since.
    Verified,
    /// A pass has succeeded. There is a snapshot if the remote can be polled without git.
    Published {
        snapshot: Option<Box<PublishedSnapshot>>,
    },
    /// The ref is a full hash and its tree is published: the remote is no longer needed.
    Pinned(Hash),
}

impl Default for RepoState {
    /// Starts without knowledge of the disk.
    fn default() -> Self {
        Self::Unverified(Check::Connectivity)
    }
}

impl RepoState {
    /// Whether the disk was checked and no later failure requires another check.
    pub(crate) fn is_verified(&self) -> bool {
        !matches!(self, Self::Unverified(_))
    }

    /// Whether the last completed pass has published the wanted tree.
    pub(crate) fn is_published(&self) -> bool {
        matches!(self, Self::Published { .. } | Self::Pinned(_))
    }

    /// The state after a failed pass that requires a check of the disk.
    pub(crate) fn unverified(&mut self, check: Check) {
        let check = match self {
            Self::Unverified(due) => check.max(*due),
            _ => check,
        };
        *self = Self::Unverified(check);
    }
}
