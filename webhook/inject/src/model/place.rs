//! The mount path of a repository, for conflict checks.

use crate::MountPath;
use crate::model::role::Role;

/// A mount path and the key that sets it, also of a repository with other mistakes.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) key: String,
    pub(crate) path: MountPath,
    /// The role of the container that publishes it.
    pub(crate) role: Role,
}
