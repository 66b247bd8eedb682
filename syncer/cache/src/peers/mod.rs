//! Other replicas of the cache: what one of them has need not be requested from the git host again.
//!
//! A request to a peer is a follower's request with the follower's own credential and the header of
//! [`purpose`]. The peer authorizes it like a follower's, and asks no further peer.

pub(crate) mod backoff;
pub(crate) mod client;
pub(crate) mod config;
pub(crate) mod purpose;
pub(crate) mod ranking;
pub(crate) mod table;
