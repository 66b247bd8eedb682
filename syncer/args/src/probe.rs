//! Output of the startup probe.

/// Output for a repository without an error that has no tree yet; all other output is an error.
pub const STILL_CLONING: &str = "the first clone is still running";
