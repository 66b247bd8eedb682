//! Keeps a directory at a revision of a git repository, each revision complete or absent.
//!
//! Data flow: argv and environment → [`args::SyncArgs`] → `Config` → which commit? → fetch → tree →
//! publish → hooks → clean-up. One folder per layer; imports point down this list only:
//!
//! | folder | what it holds |
//! |---|---|
//! | `process` | command line, start, end, `probe`; the start of the crates `cache` (feature `cache`) and `push` |
//! | `schedule` | the loop of one repository: back-off, limits, waiting beside another syncer; a clone that is made once |
//! | `repo` | one repository: `sync` is a pass, `sync::state` what is known between two passes, `sync::error` the table from a failure's stage and cause to what follows; `resolve`, `mirror`, `publish`, `gc` are its steps |
//! | `poll` | whether the remote can be polled without git, and what follows; the polls are the crate `poll` (feature `poller`) |
//! | `hooks` | programs and addresses called for each new revision |
//! | `tree` | one commit's files on disk |
//! | `lfs` | Git LFS: pointers in a new tree are replaced by their content |
//! | `remote` | credentials, HTTP(S) as a client, `Retry-After` |
//! | `observe` | log, metrics, health, status pages, `POST /push`, the error file |
//! | `config` | what the flags mean |
//! | `git` | the git program: a method per command (`session`, `work_tree`), one run and its failure, how many run at once |
//! | `system`, `redact`, `error` | files, processes, signals; secrets in text; an error with its causes |
//!
//! Start at `schedule/follow.rs` for the loop and at `repo/sync.rs` for one pass. To add a flag,
//! start at `syncer/args` (see CONTRIBUTING.md).
//!
//! The syncer does not depend on Kubernetes.

mod config;
mod error;
mod git;
mod hooks;
mod lfs;
mod observe;
mod poll;
mod process;
mod redact;
mod remote;
mod repo;
mod schedule;
mod system;
mod tree;

pub use process::cli::main;
