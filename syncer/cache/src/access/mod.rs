//! Followers' credentials: what the origin has answered to each, kept in memory only.

pub(crate) mod credential;
pub(crate) mod registry;
