//! One delivery: its secret, its signature, its payload, and the repositories that it wakes.

pub(crate) mod body;
pub(crate) mod payload;
pub(crate) mod secret;
pub(crate) mod selection;
pub(crate) mod signature;
