//! The schedule of syncs: the loop, back-off, limits, and standby beside another syncer.

pub(crate) mod clone;
pub(crate) mod ended;
pub(crate) mod follow;
pub(crate) mod limits;
pub(crate) mod pace;
pub(crate) mod standby;
pub(crate) mod start_error;
pub(crate) mod wait;
