//! Starts the command that was given on the command line.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::Exit;
use crate::command_line::Cli;
use crate::command_line::Command;
use crate::commands::convert;
use crate::commands::diff;
use crate::commands::doctor;
use crate::commands::explain;
use crate::commands::inject;
use crate::commands::status;
use crate::commands::uninject;
use crate::commands::wait;
use crate::reference::complete;
use crate::reference::completions;
use crate::reference::man;

/// The first argument with which `kubectl_complete-gitvolume` requests completions.
const COMPLETE: &str = "__complete";

/// Runs the program with an argv that includes its name.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    let argv: Vec<OsString> = argv.into_iter().collect();
    match argv.get(1).filter(|first| *first == COMPLETE) {
        Some(_) => complete::run(argv.into_iter().skip(2).collect()),
        None => Cli::from_argv(argv).run(),
    }
}

impl Cli {
    /// Runs the command. An error is printed on standard error in one sentence.
    pub fn run(self) -> ExitCode {
        let exit = match self.command {
            Command::Inject(args) => inject::run(args),
            Command::Convert(args) => Ok(convert::run(args)),
            Command::Uninject(args) => uninject::run(args),
            Command::Explain(args) => explain::run(args),
            Command::Diff(args) => diff::run(args),
            Command::Doctor(args) => doctor::run(args),
            Command::Status(args) => status::run(args),
            Command::Wait(args) => wait::run(args),
            Command::Completions(args) => completions::run(&args),
            Command::Man(args) => man::run(args),
        };
        let exit = exit.unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            Exit::Wrong
        });
        exit.into()
    }
}
