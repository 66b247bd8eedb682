//! The sources of requests: annotations, objects, gitRepo volumes, and the status of an earlier
//! call.

pub(crate) mod annotations;
pub(crate) mod gitrepo;
pub(crate) mod namespace;
pub(crate) mod objects;
pub(crate) mod requested;
pub(crate) mod sourced;
pub(crate) mod status;
