//! Completions for `kubectl gitvolume`: kubectl runs the program `kubectl_complete-gitvolume` with
//! the words so far, and that script runs this program
//! (<https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/>).

use std::ffi::OsString;
use std::fmt::Write;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::engine::complete;

use crate::Exit;
use crate::command_line::Cli;
use crate::manifests::output;
use crate::report::Report;

/// cobra's directive for candidates that are complete: the shell offers no files.
const NO_FILES: &str = ":4";

/// cobra's directive that lets the shell offer files.
const FILES: &str = ":0";

/// Prints the candidates for the last word in cobra's format: one per line, with its description
/// after a tab, and the directive at the end.
pub fn run(words: Vec<OsString>) -> ExitCode {
    let directory = std::env::current_dir().ok();
    let index = words.len();
    let argv = std::iter::once("gitvolume".into()).chain(words).collect();
    let found = complete(&mut Cli::command(), argv, index, directory.as_deref());
    // Without candidates the shell offers files.
    let found = found.unwrap_or_default();
    let mut text = String::new();
    for candidate in found.iter().filter(|own| !own.is_hide_set()) {
        let value = candidate.get_value().to_string_lossy();
        let help = candidate.get_help().map(ToString::to_string);
        let help = help.as_deref().and_then(|help| help.lines().next());
        // Writing to a String cannot fail.
        let _ = match help {
            Some(help) => writeln!(text, "{value}\t{help}"),
            None => writeln!(text, "{value}"),
        };
    }
    let directive = if found.is_empty() { FILES } else { NO_FILES };
    text.push_str(directive);
    text.push('\n');
    match output::printed(&text, &mut Report::default()) {
        Exit::Done => ExitCode::SUCCESS,
        exit => exit.into(),
    }
}
