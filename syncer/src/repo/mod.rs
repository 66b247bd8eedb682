//! One repository: fetch, tree, publication, clean-up, and the state between two passes.

pub(crate) mod context;
pub(crate) mod gc;
pub(crate) mod leftovers;
pub(crate) mod mirror;
pub(crate) mod publish;
pub(crate) mod resolve;
pub(crate) mod snapshot;
pub(crate) mod status;
pub(crate) mod sync;
