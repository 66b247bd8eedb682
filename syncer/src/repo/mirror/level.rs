//! The levels of the disk check before a pass.

use tokio::time::Instant;

/// The level of the disk check before a pass, in ascending order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Check {
    /// Stale locks and partial trees are removed, and git must be able to open the repository.
    Tidy,
    /// The same, and `git fsck --connectivity-only`: all objects must be there.
    Connectivity,
    /// The same with a full `git fsck`: the content of all objects is read.
    Contents,
    /// The repository is recreated in any case.
    Recreate,
}

/// The deadline of a check: half of the time, so that the other half is left for the sync.
pub(crate) fn half_of(deadline: Instant) -> Instant {
    let now = Instant::now();
    now + deadline.saturating_duration_since(now) / 2
}
