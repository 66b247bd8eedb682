//! The command line of gitvolume (program `gitvolume`): the webhook's engine applied to manifests,
//! and checks of a cluster.
//!
//! Layers, from the top down; imports point down only: `run` starts a command ·
//! [`reference`](mod@reference) (completions, manual pages) · [`command_line`] (the flags) ·
//! [`commands`] · [`manifests`] (files, documents, edits) and [`live`] (a cluster's API) ·
//! [`conversion`] (gitRepo volumes and git-sync containers to annotations) · [`args`], [`report`],
//! [`help`].
//!
//! Start at the command in `commands/`. To add a finding of the doctor, start at
//! `commands/doctor/finding.rs` (see CONTRIBUTING.md).

pub mod args;
pub mod command_line;
pub mod commands;
pub mod conversion;
pub mod help;
pub mod live;
pub mod manifests;
pub mod reference;
pub mod report;
pub mod run;

use std::process::ExitCode;

/// The exit code of a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// Success: code 0.
    Done,
    /// `--check` or `diff` found a difference: code 1.
    Different,
    /// Problems were found: code 1.
    Found,
    /// An error, printed on standard error: code 2.
    Wrong,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Different | Exit::Found => Self::from(1),
            Exit::Wrong => Self::from(2),
        }
    }
}
