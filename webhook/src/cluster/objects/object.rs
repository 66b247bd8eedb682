//! GitVolume objects as the watch reports them.

use std::sync::Arc;

use inject::GitVolume;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// The identity of an object; cluster-scoped objects sort first.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
}

/// An object in its last observed version.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) volume: Arc<GitVolume>,
    /// The conditions in its status, including those of other controllers.
    pub(crate) told: Vec<Condition>,
    /// The generation that its status describes.
    pub(crate) observed_generation: Option<i64>,
    /// The `resourceVersion` of that version.
    pub(crate) resource_version: String,
}
