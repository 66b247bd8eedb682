//! The program `gitvolume-syncer` as its users run it, against real git remotes over file, http(s)
//! and ssh.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]
#![allow(
    clippy::disallowed_methods,
    reason = "a test has no event loop to hold up"
)]

mod access;
mod aftermath;
#[cfg(feature = "cache")]
mod cache;
mod clone;
mod command_line;
mod crashes;
mod faults;
mod fetches;
mod files;
mod following;
mod git_beliefs;
mod group_write;
mod hooks;
mod http_and_metrics;
mod kept_submodules;
mod letting_in;
mod lfs;
mod linked;
mod lost_state;
mod manners;
mod many;
mod mounted_tree;
mod object_formats;
mod polling;
mod push;
mod recovery;
mod sharing;
mod small_container;
mod subdir;
mod submodules;
mod sync;
mod trees;
mod upgrade;
mod versions;
mod wholeness;
mod world;
