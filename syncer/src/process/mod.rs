//! The process: command line, start and end.

#[cfg(feature = "cache")]
pub(crate) mod cache;
pub(crate) mod cli;
pub(crate) mod probe;
pub(crate) mod push;
pub(crate) mod run;
mod ssh;
