//! `gitvolume completions`: shell completions of this command line.

use clap::CommandFactory;

use crate::Exit;
use crate::command_line::Cli;
use crate::command_line::CompletionsArgs;
use crate::manifests::output;
use crate::report::Report;

/// Runs the command.
pub fn run(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "gitvolume", &mut script);
    let script = String::from_utf8(script)?;
    Ok(output::printed(&script, &mut Report::default()))
}
