//! The terms of this crate: names, paths, quantities, and requests.

pub(crate) mod error;
pub(crate) mod mount_path;
pub(crate) mod name;
pub(crate) mod place;
pub(crate) mod quantity;
pub(crate) mod request;
pub(crate) mod role;
pub(crate) mod skip_reason;
pub(crate) mod user;
pub(crate) mod volume;
