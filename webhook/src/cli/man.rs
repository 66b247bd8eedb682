//! `gitvolume man`: the manual's pages, from the same flags.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use clap::CommandFactory;
use clap_mangen::Man;

use crate::args::Cli;
use crate::cli::Exit;
use crate::cli::output;
use crate::cli::report::Report;

/// Flags of `man`.
#[derive(Args, Clone, Debug)]
pub struct ManArgs {
    /// The command whose page is written; the program's own by default
    pub command: Option<String>,

    /// A directory for all pages, instead of one on standard output
    #[arg(long, conflicts_with = "command", value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: ManArgs) -> anyhow::Result<Exit> {
    let mut command = Cli::command();
    if let Some(directory) = args.out {
        std::fs::create_dir_all(&directory)
            .and_then(|()| clap_mangen::generate_to(command, &directory))
            .with_context(|| format!("{}: cannot be written", directory.display()))?;
        return Ok(Exit::Done);
    }
    command.build();
    let command = match &args.command {
        None => command,
        Some(name) => command
            .find_subcommand(name)
            .cloned()
            .with_context(|| format!("{name}: expected a command of gitvolume"))?,
    };
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    let page = String::from_utf8(page)?;
    Ok(output::printed(&page, &mut Report::default()))
}
