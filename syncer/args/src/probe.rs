//! What the startup probe prints.

/// What it says of a repository that nothing is wrong with, and of which there is no tree yet: all
/// else that it says is an error.
pub const STILL_CLONING: &str = "the first clone is still running";
