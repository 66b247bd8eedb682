//! What is known of one repository between two passes: one value, so that what loses the repository
//! loses with it everything that was known of it.

use crate::check::Check;
use crate::git::Hash;
use crate::snapshot::PublishedSnapshot;

/// What the next pass may rely on. Each step of a pass gives the next state.
pub(crate) enum RepoState {
    /// The disk is to be checked before anything else: an earlier process, or a failed pass, may have
    /// left anything.
    Unverified(Check),
    /// The disk was checked; no pass has succeeded since.
    Verified,
    /// A pass has succeeded. The snapshot is there where the remote can be polled without git.
    Published {
        snapshot: Option<Box<PublishedSnapshot>>,
    },
    /// The ref is a full hash and its tree is published: the remote has nothing new to offer.
    Pinned(Hash),
}

impl Default for RepoState {
    /// Nothing is known.
    fn default() -> Self {
        Self::Unverified(Check::Connectivity)
    }
}

impl RepoState {
    /// Tells whether the disk was checked and no failure has raised doubts since.
    pub(crate) fn is_verified(&self) -> bool {
        !matches!(self, Self::Unverified(_))
    }

    /// Tells whether the last pass that ran to its end has published the wanted tree.
    pub(crate) fn is_published(&self) -> bool {
        matches!(self, Self::Published { .. } | Self::Pinned(_))
    }

    /// The state after a failed pass that calls for a check of the disk.
    pub(crate) fn unverified(&mut self, check: Check) {
        let check = match self {
            Self::Unverified(due) => check.max(*due),
            _ => check,
        };
        *self = Self::Unverified(check);
    }
}
