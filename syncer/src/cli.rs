//! The doors of the program: sync, `probe`, git's credential helper, and what process 1 does first.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;

use args::Cli;
use args::Command;
use clap::Parser;
use clap::error::ContextKind;
use clap::error::ContextValue;
use clap::error::ErrorKind;

use crate::auth::helper;
use crate::config::env_name;
use crate::init;
use crate::probe;
use crate::redact;
use crate::run;
use crate::sync::chain;

/// A command line that is not well formed: git-sync's code.
const USAGE: u8 = 2;

/// Runs the program that this process's arguments ask for.
pub fn main() -> ExitCode {
    if init::is_needed() {
        return init::run();
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    match cli.command {
        Some(Command::Credential(args)) => match helper::run(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fatal(&error),
        },
        Some(Command::Probe(args)) => probe::run(&args),
        None => run::sync(cli.sync).unwrap_or_else(|error| fatal(&error)),
    }
}

fn fatal(error: &dyn Error) -> ExitCode {
    eprintln!("gitvolume-syncer: {}", redact::redact(&chain(error)));
    ExitCode::from(run::FATAL)
}

/// Prints help and version; else says in one sentence what is wrong with the command line. A bad
/// value from the environment is bad configuration and not bad usage, as for git-sync.
fn refuse(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A closed standard output is no reason to fail.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let flag = context(ContextKind::InvalidArg)
        .and_then(|shown| shown.strip_prefix("--")?.split([' ', '=']).next());
    let value = context(ContextKind::InvalidValue);
    let (Some(flag), Some(value), true) = (
        flag,
        value,
        matches!(
            error.kind(),
            ErrorKind::InvalidValue | ErrorKind::ValueValidation
        ),
    ) else {
        let _ = error.print();
        return ExitCode::from(USAGE);
    };
    let expected = match (error.source(), error.get(ContextKind::ValidValue)) {
        (Some(source), _) => source.to_string(),
        (None, Some(ContextValue::Strings(values))) => format!("expected {}", values.join(" or ")),
        (None, _) => "expected another value".to_owned(),
    };
    // The address may hold a password even where it is not well formed.
    let value = if flag == "repo" { "…" } else { value };
    eprintln!(
        "gitvolume-syncer: --{flag} (or {}): {value:?}: {expected}",
        env_name(flag)
    );
    let is_typed = |arg: OsString| {
        let arg = arg.to_string_lossy().into_owned();
        arg.split('=').next() == Some(&format!("--{flag}"))
    };
    let from_argv = env::args_os().skip(1).any(is_typed);
    ExitCode::from(if from_argv { USAGE } else { run::FATAL })
}
