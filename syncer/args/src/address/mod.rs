//! Repository addresses: parsing, and masking of credentials.

pub(crate) mod credential;
pub(crate) mod mask;
pub(crate) mod repo_url;
pub(crate) mod ssh_address;
pub(crate) mod user_info;
