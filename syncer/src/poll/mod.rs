//! Polling: whether the remote can be polled instead of a fetch by git, and what a poll's answer
//! means for a pass.
//!
//! - An [`Engine`](engine::Engine) answers *same* or *different*; everything else is left to
//!   git. `native` creates engines of the crate `poll`; a build without the feature `poller` has
//!   none.
//! - `poller` decides whether an engine may poll: only if it does exactly what git does, which
//!   `allowed` checks by git's configuration, the environment and ssh's files.
//!
//! - `cache` waits for changes at the pull-through cache instead, through the `cache_engines`.
//! - `loan` lets git's fetch use the ssh connection of the poll that asked for it.
//!
//! An engine's error is not a failure of the pass: git runs, and its result is used.

// Without an engine nothing reads its answers.
#![cfg_attr(not(feature = "poller"), allow(dead_code))]

mod allowed;
mod cache;
#[cfg(feature = "poller")]
mod cache_engines;
mod engine;
pub(crate) mod loan;
#[cfg(feature = "poller")]
mod native;
mod poller;

pub(crate) use crate::poll::cache::PriorState;
pub(crate) use crate::poll::cache::StaleAnswer;
pub(crate) use crate::poll::engine::Known;
pub(crate) use crate::poll::engine::RemoteRef;
#[cfg(feature = "cache")]
pub(crate) use crate::poll::native::network;
pub(crate) use crate::poll::poller::CacheOffer;
pub(crate) use crate::poll::poller::PollOutcome;
pub(crate) use crate::poll::poller::Poller;
