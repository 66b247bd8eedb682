//! Kubernetes for tests: control plane, node and clients.

pub mod cluster;
pub mod control_plane;
pub mod cut;
pub(crate) mod enclosure;
pub mod kubectl;
pub mod namespace;
pub mod node;
pub(crate) mod node_files;
