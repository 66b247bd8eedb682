//! The command line beside the server: manifests in, manifests out, by the webhook's engine; and
//! looks at a cluster ([`doctor`], and [`explain`] of what runs; [`live`] is what both share).
//!
//! A command's way: [`files`] reads what is named, [`documents`] takes a text apart, [`workloads`]
//! finds the Pods in a document, [`edit`] asks the command about each of them and puts its patches
//! into the text, [`output`] writes the texts or says that they differ. [`report`] tells people, on
//! standard error.

pub mod args;
pub mod completions;
pub mod convert;
pub mod diff;
pub mod doctor;
pub mod documents;
pub mod edit;
pub mod explain;
pub mod files;
pub mod help;
pub mod inject;
pub mod kustomize;
pub mod live;
pub mod man;
pub mod output;
pub mod report;
pub mod unhandled;
pub mod uninject;
pub mod volumes;
pub mod workloads;

use std::process::ExitCode;

/// How a command ends, for scripts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// It did what it was asked for: code 0.
    Done,
    /// There is a difference, and it was asked whether there is one: code 1.
    Different,
    /// Something was found that does not work: code 1.
    Found,
    /// Something is wrong, as was said on standard error: code 2.
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
