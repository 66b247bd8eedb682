//! The program `gitvolume-syncer push`: it receives deliveries from the Internet, and has no
//! credentials but the push secrets and the key of the cache.

mod answers;
mod cache;
pub(crate) mod config;
pub(crate) mod error;
mod metrics;
mod relay;
pub(crate) mod server;
mod tls;
