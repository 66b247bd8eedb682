//! The pull-through cache of git's smart HTTP protocol: the program `gitvolume-syncer cache`.
//!
//! It answers followers with the origin's own answers and needs neither the git program nor an
//! object store: followers in the same state send equal requests, and the answer to a `fetch` is
//! the same for ever. The paths and headers are the contract [`args::cache`].
//!
//! Data flow: TLS → `server` → `service` (route, allowed host, credential, request) → `refs` or
//! `packs` → `origin` → checks of `protocol` → `store` → follower. Layers; imports point down:
//!
//! | folder | what it holds |
//! |---|---|
//! | `run`, `config` | start, end, and what the flags mean |
//! | `server` | the listeners: TLS, limits, draining; probes and metrics |
//! | `service` | one file per kind of request; the prefetch |
//! | `packs` | answers to `fetch`: one request to the origin for all followers |
//! | `refs` | answers to `ls-refs`: one slot per credential and request; waiting |
//! | `peers` | other replicas, which are asked before the origin |
//! | `store` | stored answers on disk |
//! | `origin` | the client for git hosts: connections to allowed addresses, what a status means |
//! | `access` | credentials: identities, acceptances and refusals, in memory only; the key of wake-ups |
//! | `cas` | the CAs of the replicas' own certificates |
//! | `mounted` | values in mounted files, read again when the files change |
//! | `metrics` | counters |
//! | `tag` | names of contents; pure |
//! | `address` | allowed hosts and networks; pure |
//! | `protocol` | git's protocol version 2: requests, and checks of answers; pure |
//!
//! Who gets what: `service/fetch.rs`, `audience`; another replica: `service/peer.rs`. Start there for a
//! review of access.

mod access;
mod address;
mod cas;
mod config;
#[cfg(test)]
#[path = "../fuzz/targets.rs"]
mod fuzzing;
mod metrics;
mod mounted;
mod origin;
mod packs;
mod peers;
mod protocol;
mod refs;
mod run;
mod server;
mod service;
mod store;
mod tag;

pub use access::wake_key::WakeKeyError;
pub use cas::CasError;
pub use config::Config;
pub use config::ConfigError;
pub use run::StartError;
pub use run::run;
pub use server::certificate::CertificateError;
