//! Keeps a directory at a revision of a git repository, each revision whole or not at all.
//!
//! The way of the data, and where to look:
//! - `config`: [`args::SyncArgs`] is what was typed, `Config` what it means.
//! - `cli`: the doors (sync, `probe`, git's credential helper); `run`: the process;
//!   `follow`: the loop of one repository; `pace` says when, `limits` how often it may fail,
//!   `permits` how many at once; `signals` what ends it or hurries it.
//! - `sync`: one pass: `Remote` (which commit is wanted) → `Mirror` (git's objects) → `Tree` (the
//!   files) → `publish` (link or projected) → `gc` (what is no longer needed).
//! - `sync::state` is what is known between two passes; `sync::error` maps a failed pass's stage and
//!   cause to what follows; `check` says how much of the disk is checked then.
//! - `engine`: asks the remote without git whether the ref has moved; `snapshot`: what shows that
//!   nothing else has changed. Where both agree, a pass starts no process.
//! - `git`: every git command is born in `git::command`; `git::failure` reads its complaints.
//! - `auth`: what a mounted Secret means to ssh and to http; `auth::helper` answers git.
//! - `passwd`: a line for a user without one (`--add-user`).
//! - `hooks` are told of each new tree; `report` tells everyone else: `metrics` and `health`, which
//!   `http` serves, the `error_file` and the touch file; `status` is written for `probe` alone.
//! - `web`: HTTP(S) as a client, for hooks, askpass, GitHub and the poller.
//! - `init`: what process 1 does; `owner`: one syncer per root (`lease` where there are
//!   no locks, `standby` for the second one); `logging`, `redact` and
//!   `zone`: the log.
//!
//! Nothing here knows Kubernetes.

mod auth;
mod caveats;
mod check;
mod checkout;
mod cli;
mod clone;
mod config;
mod crash;
mod engine;
mod error_file;
mod files;
mod follow;
mod gc;
mod git;
mod group;
mod growth;
mod health;
mod hooks;
mod http;
mod init;
mod lease;
mod leftovers;
mod limits;
mod logging;
mod metrics;
mod mirror;
mod output;
mod owner;
mod pace;
mod passwd;
mod permits;
mod pprof;
mod private;
mod probe;
mod program;
mod publish;
mod redact;
mod remote;
mod report;
mod run;
mod signals;
mod snapshot;
mod standby;
mod status;
mod submodules;
mod sync;
mod throttle;
mod tree;
mod web;
mod zone;

pub use cli::main;
