//! The git program: its commands and the parsing of its output.

pub(crate) mod allowance;
mod change;
mod command;
pub(crate) mod config;
pub(crate) mod failure;
mod hash;
mod inventory;
mod loose;
pub(crate) mod permits;
pub(crate) mod session;
pub(crate) mod work_tree;

pub(crate) use change::Change;
pub(crate) use change::ChangeKind;
pub(crate) use command::Git;
pub(crate) use command::GitError;
pub(crate) use hash::Hash;
pub(crate) use hash::ObjectFormat;
pub(crate) use session::GitSession;
pub(crate) use session::Repository;
pub(crate) use work_tree::WorkTree;
