//! Counters of status writes.

use std::sync::atomic::AtomicU64;

/// The number of status writes, by outcome.
#[derive(Debug, Default)]
pub struct Writes {
    /// Writes that succeeded.
    pub written: AtomicU64,
    /// Conflicts: another replica wrote first.
    pub conflicts: AtomicU64,
    /// Failures: the API server rejected the write or was unreachable.
    pub failed: AtomicU64,
}
