//! What the cache answers to a request of a follower.

pub(crate) mod cas;
pub(crate) mod conditions;
pub(crate) mod fetch;
pub(crate) mod first_clones;
pub(crate) mod gate;
pub(crate) mod info_refs;
pub(crate) mod ls_refs;
pub(crate) mod peer;
pub(crate) mod prefetch;
pub(crate) mod reply;
pub(crate) mod route;
pub(crate) mod wake;
