//! Followers' credentials: what the origin has answered to each, kept in memory only; and the key of
//! wake-ups.

pub(crate) mod credential;
pub(crate) mod registry;
pub(crate) mod wake_key;
