//! `gitvolume man`: the manual's pages, from the same flags.

use std::io;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use clap::Command;
use clap::CommandFactory;
use clap::builder::PossibleValuesParser;
use clap_mangen::Man;

use crate::args::Cli;
use crate::cli::Exit;
use crate::cli::help::COMMANDS;
use crate::cli::help::sections;
use crate::cli::output;
use crate::cli::report::Report;

/// Flags of `man`.
#[derive(Args, Clone, Debug)]
pub struct ManArgs {
    /// The command whose page is written; the program's own by default
    #[arg(value_parser = PossibleValuesParser::new(COMMANDS), hide_possible_values = true)]
    pub command: Option<String>,

    /// A directory for all pages, instead of one on standard output
    #[arg(long, conflicts_with = "command", value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// When the pages were last changed: a date of the build would make each build another one.
const DATE: &str = "2026-11-28";

/// Runs the command.
pub fn run(args: ManArgs) -> anyhow::Result<Exit> {
    let mut command = Cli::command();
    command.build();
    if let Some(directory) = args.out {
        let names = std::iter::once("").chain(COMMANDS);
        std::fs::create_dir_all(&directory)
            .and_then(|()| {
                names.into_iter().try_for_each(|name| {
                    let file = match name {
                        "" => "gitvolume.1".to_owned(),
                        name => format!("gitvolume-{name}.1"),
                    };
                    std::fs::write(directory.join(file), page(&command, name)?)
                })
            })
            .with_context(|| format!("{}: cannot be written", directory.display()))?;
        return Ok(Exit::Done);
    }
    let page = page(&command, args.command.as_deref().unwrap_or_default())?;
    let page = String::from_utf8(page)?;
    Ok(output::printed(&page, &mut Report::default()))
}

/// The page of a command; of the program where the name is empty.
fn page(program: &Command, name: &str) -> io::Result<Vec<u8>> {
    let version = env!("CARGO_PKG_VERSION");
    let command = program.find_subcommand(name).unwrap_or(program).clone();
    let has_subcommands = command.get_subcommands().next().is_some();
    let title = match name {
        "" => "gitvolume".to_owned(),
        name => format!("gitvolume-{name}"),
    };
    let command = command.version(version).display_name(title.clone());
    let man = Man::new(command)
        .title(title)
        .date(DATE)
        .source(format!("gitvolume {version}"))
        .manual("gitvolume manual");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if has_subcommands {
        man.render_subcommands_section(&mut page)?;
    }
    page.extend_from_slice(sections(name).as_bytes());
    man.render_version_section(&mut page)?;
    Ok(page)
}
