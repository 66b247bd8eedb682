//! The client side of the remote: credentials, HTTP(S), proxies, and `Retry-After`.

pub(crate) mod auth;
pub(crate) mod private;
pub(crate) mod throttle;
pub(crate) mod web;
