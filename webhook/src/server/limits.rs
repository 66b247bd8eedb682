//! Limits for clients of the server.

use std::time::Duration;

use crate::server::handler;

/// The limits of connections and calls.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Calls in flight; further ones are shed (503).
    pub inflight: usize,
    /// Bytes of the bodies of calls in flight; a call that needs more is shed (503).
    pub inflight_bytes: usize,
    /// Timeout of the TLS handshake.
    pub handshake: Duration,
    /// Timeout from the end of the handshake to the first byte of the first call. The API server's
    /// client also keeps connections that it has not used yet: closing one just when the client
    /// begins to use it fails that call, so this is longer than a burst of new connections lasts.
    pub silence: Duration,
    /// Timeout from the first byte of a call to the end of its headers.
    pub head: Duration,
    /// Idle timeout between two calls. The API server's client keeps an idle connection for 90
    /// seconds (Go's `http.Transport`); closing it earlier would lose the call that it is about to
    /// send.
    pub idle: Duration,
    /// Age of a connection, plus up to as much again at random, after which the next answer closes
    /// it, so that replicas share the load.
    pub age: Duration,
}

/// Default age: one minute, so that a new replica has its share of the load after two.
pub(crate) const DEFAULT_AGE: Duration = Duration::from_secs(60);

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            inflight: handler::MAX_INFLIGHT,
            inflight_bytes: handler::MAX_INFLIGHT_BYTES,
            handshake: Duration::from_secs(3),
            silence: Duration::from_secs(10),
            head: Duration::from_secs(5),
            idle: Duration::from_secs(120),
            age: DEFAULT_AGE,
        }
    }
}
