//! The conversion of one Pod by `gitvolume convert`: gitRepo volumes and git-sync containers become
//! annotations.
//!
//! The paths that the app sees stay the same. A part that annotations cannot express stays
//! unchanged, or is reported if the app does not depend on it: nothing is dropped without a
//! message.

mod access;
pub(crate) mod convert_pod;
mod gitrepo;
mod gitsync;
mod keys;
pub(crate) mod plain;
mod process;
pub(crate) mod references;
mod rewrite;
pub(crate) mod source;
mod view;

#[cfg(test)]
mod tests;
