//! Limits of what deliveries can cause.

pub(crate) mod rate;
pub(crate) mod spacing;
