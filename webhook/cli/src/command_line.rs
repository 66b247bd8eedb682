//! The command line of `gitvolume`.

use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

use clap::Args;
use clap::CommandFactory;
use clap::FromArgMatches;
use clap::Parser;
use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use clap_complete::Shell;

use crate::commands::convert::ConvertArgs;
use crate::commands::diff::DiffArgs;
use crate::commands::doctor::DoctorArgs;
use crate::commands::explain::ExplainArgs;
use crate::commands::inject::InjectArgs;
use crate::commands::status::StatusArgs;
use crate::commands::uninject::UninjectArgs;
use crate::commands::wait::WaitArgs;
use crate::help::COMMANDS;
use crate::help::with_examples;

/// The command line of `gitvolume`.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "gitvolume",
    version,
    about = "Inject git repositories into Pods"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program does.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Inject the syncer into manifests, as the webhook would into their Pods
    Inject(InjectArgs),
    /// Convert gitRepo volumes and git-sync containers to gitvolume annotations
    Convert(ConvertArgs),
    /// Remove the injection from manifests
    Uninject(UninjectArgs),
    /// Show what inject would change
    Diff(DiffArgs),
    /// Explain what the webhook would do to a Pod and why; without arguments, list all annotations
    Explain(ExplainArgs),
    /// Check the installation and the Pods of a cluster; report problems and remedies
    Doctor(DoctorArgs),
    /// Show which commit each Pod of a cluster has published, its age and the last error
    Status(StatusArgs),
    /// Wait until every Pod of an object has published a commit
    Wait(WaitArgs),
    /// Print a shell completion script
    Completions(CompletionsArgs),
    /// Print the manual pages
    Man(ManArgs),
}

/// Flags of `completions`.
#[derive(Args, Clone, Debug)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

/// Flags of `man`.
#[derive(Args, Clone, Debug)]
pub struct ManArgs {
    /// The command whose page is printed; by default the program's own page
    #[arg(value_parser = PossibleValuesParser::new(COMMANDS), hide_possible_values = true)]
    pub command: Option<String>,

    /// Write all pages into this directory instead of one page to standard output
    #[arg(long, conflicts_with = "command", value_name = "DIR")]
    pub out: Option<PathBuf>,
}

impl Cli {
    /// Parses an argv, including the program name; exits on an error or `--help`. If the program is
    /// named `kubectl-gitvolume`, it is a kubectl plugin: its usage and examples show
    /// `kubectl gitvolume`.
    pub fn from_argv(argv: impl IntoIterator<Item = OsString>) -> Self {
        let argv: Vec<OsString> = argv.into_iter().collect();
        let called = argv.first().map(Path::new).and_then(Path::file_stem);
        let name = match called.is_some_and(|name| name == "kubectl-gitvolume") {
            true => "kubectl gitvolume",
            false => "gitvolume",
        };
        let mut command = with_examples(Self::command(), name).bin_name(name);
        // For objects of a cluster the settings come from its webhook, not from the caller's
        // environment.
        let of_a_cluster = without_env(command.clone(), "explain").try_get_matches_from(&argv);
        let of_a_cluster = of_a_cluster.ok().filter(|matches| {
            let explain = matches.subcommand_matches("explain");
            explain.is_some_and(|own| own.contains_id("objects"))
        });
        let matches = of_a_cluster.unwrap_or_else(|| command.clone().get_matches_from(&argv));
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
    }
}

/// The same command line, with the environment variables of one command disabled.
fn without_env(command: clap::Command, name: &str) -> clap::Command {
    command.mut_subcommand(name, |own| own.mut_args(|arg| arg.env(None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
