//! Starts the command that was given on the command line.

use std::process::ExitCode;

use crate::Exit;
use crate::command_line::Cli;
use crate::command_line::Command;
use crate::commands::convert;
use crate::commands::diff;
use crate::commands::doctor;
use crate::commands::explain;
use crate::commands::inject;
use crate::commands::uninject;
use crate::reference::completions;
use crate::reference::man;

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
