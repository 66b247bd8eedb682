//! Values of flags and annotations, each validated once, when parsed.

pub(crate) mod ca_bundle;
pub(crate) mod duration;
pub(crate) mod known_hosts;
pub(crate) mod label;
pub(crate) mod lfs_hosts;
pub(crate) mod link;
pub(crate) mod rev;
pub(crate) mod secret_text;
pub(crate) mod subdir;
pub(crate) mod text;
pub(crate) mod version;
pub(crate) mod version_range;
