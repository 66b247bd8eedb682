//! `gitvolume man`: manual pages, generated from the flags.

use std::io;

use anyhow::Context;
use clap::Command;
use clap::CommandFactory;
use clap_mangen::Man;

use crate::Exit;
use crate::command_line::Cli;
use crate::command_line::ManArgs;
use crate::help::COMMANDS;
use crate::help::sections;
use crate::manifests::output;
use crate::report::Report;

/// Date of the last change of the pages. A build date would make each build different.
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

/// The page of a command; of the program if the name is empty.
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
