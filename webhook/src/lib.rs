//! The admission webhook: the program `gitvolume-webhook`, and the code that it shares with the
//! command line.
//!
//! Data flow of one admission call:
//!
//! 1. [`server`]: the TLS accept loop with its limits; one hyper connection per API server client.
//! 2. [`server::handler`]: the body, the load limit, one answer; counts and logs each decision.
//! 3. [`server::judge`]: from request bytes to the answer, by the pure crate `inject`.
//!
//! Layers, from the top down; imports point down only: [`serve`] (start and shutdown of the
//! process) · [`args`] (flags and environment) · [`server`], with [`server::admin`] (`/livez
//! /readyz /metrics`) · [`metrics`] · [`cluster`] (namespaces, objects and the registration, by
//! watches) · [`settings`] (the operator's configuration) · [`tls`], [`shutdown`], [`logging`].
//!
//! Start at `server/handler.rs` for a call and at `serve.rs` for the process.

pub mod args;
pub mod cluster;
pub mod logging;
pub mod metrics;
// The command line also runs on Windows; the server does not.
#[cfg(unix)]
pub mod serve;
pub mod server;
pub mod settings;
pub mod shutdown;
pub mod tls;

/// Installs ring as the default TLS provider of the process, for libraries that use the default,
/// such as kube's client. Fails if another provider was installed before.
pub fn install_crypto_provider() -> Result<(), &'static str> {
    let installed = rustls::crypto::ring::default_provider().install_default();
    installed.map_err(|_| "another TLS provider is already installed")
}
