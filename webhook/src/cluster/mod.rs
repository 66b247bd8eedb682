//! Cluster state, kept current by watches: namespaces, GitVolume objects, the webhook's
//! registration.

pub mod coverage;
pub mod known;
pub mod namespaces;
pub mod objects;
pub(crate) mod registration;
pub(crate) mod watching;
