//! `gitvolume completions`: a shell's completion of this command line.

use clap::Args;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::cli::Exit;
use crate::cli::output;
use crate::cli::report::Report;

/// Flags of `completions`.
#[derive(Args, Clone, Debug)]
pub struct CompletionsArgs {
    /// For which shell
    pub shell: Shell,
}

/// Runs the command.
pub fn run(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "gitvolume", &mut script);
    let script = String::from_utf8(script)?;
    Ok(output::printed(&script, &mut Report::default()))
}
