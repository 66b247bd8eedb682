//! The git program: how it is called, and what its answers mean.

pub(crate) mod allowance;
pub(crate) mod command;
pub(crate) mod failure;
mod hash;

pub(crate) use command::Git;
pub(crate) use command::GitError;
pub(crate) use hash::Hash;
