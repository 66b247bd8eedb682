//! Which origins the cache serves: by name ([`allowed_hosts`]), and by the addresses of a name when
//! it connects ([`networks`]). Pure.

pub(crate) mod allowed_hosts;
pub(crate) mod networks;
