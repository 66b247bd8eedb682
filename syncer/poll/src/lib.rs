//! Polling without git: does a ref of a remote still name the same object, and is the highest tag of a
//! range still the same?
//!
//! [`HttpRefPoller`] (with `connect`) and [`SshRefPoller`] implement git's protocol (`packets`,
//! `refs`), version 2 if the server supports it, on connections that are kept for the next poll
//! (`pool`). Each answers *same* or *different*; everything else, including errors, is left to git.
//! The caller decides whether a poller does the same as git with the current settings.
//!
//! [`CacheRefPoller`] waits for the same through the pull-through cache, and [`PushPoller`] for pushes
//! alone.
//! [`send`] and [`keep`] are the connections alone, for the pull-through cache.
//!
//! The caller resolves host names, selects proxies and configures TLS ([`Network`]). This crate
//! does not depend on the syncer.

mod cache;
mod connect;
mod credentials;
mod error;
mod http;
mod network;
mod packets;
mod pool;
mod refs;
mod response;
mod ssh;

pub use cache::cas::CasPoller;
pub use cache::follow::CacheAnswer;
pub use cache::follow::CacheRefPoller;
pub use cache::pushes::PushPoller;
pub use connect::Server;
pub use connect::ServerConnection;
pub use connect::keep;
pub use connect::send;
pub use credentials::Credentials;
pub use credentials::SshCredentials;
pub use error::PollError;
pub use http::HttpRefPoller;
pub use network::Network;
pub use network::Resolving;
pub use packets::ProtocolError;
pub use response::Answer;
pub use response::FoundRef;
pub use response::KnownRef;
pub use response::PollResponse;
pub use ssh::LentSession;
pub use ssh::SshRefPoller;
