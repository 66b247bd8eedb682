//! The admission webhook of gitvolume, and the program around it.
//!
//! The way of a call, one file each:
//!
//! 1. [`server`]: the TLS accept loop with its limits; one hyper connection per API server client.
//! 2. [`handler`]: the body, the load limit, one answer; counts and logs each decision.
//! 3. [`judge`]: bytes to answer, by the pure crate `inject`.
//!
//! Beside it: [`admin`] (`/livez /readyz /metrics`), [`metrics`], [`known`] (the settings
//! in force and [`namespaces`], what is known of them), [`shutdown`] (the stages of a drain),
//! [`settings`] (what the operator decided), [`tls`] (where the certificate comes from), [`logging`], [`args`]
//! (flags and environment), [`serve`] (all of it put together), [`cli`] (the same engine on
//! manifests) and [`demo`] (all of it shown without a cluster).

pub mod admin;
pub mod args;
pub mod cli;
pub mod coverage;
pub mod demo;
pub mod handler;
pub mod judge;
pub mod known;
pub mod logging;
pub mod metrics;
pub mod namespaces;
pub mod objects;
pub mod readiness;
mod registration;
pub mod serve;
pub mod server;
pub mod settings;
pub mod shutdown;
pub mod tls;
mod watching;
