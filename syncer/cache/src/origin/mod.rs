//! The client for git hosts.

pub(crate) mod client;
pub(crate) mod error;
pub(crate) mod head;
pub(crate) mod network;
