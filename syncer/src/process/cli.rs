//! The entry points of the program: sync, `probe`, `cache`, `push`, git's credential helper and ssh, and
//! the setup of process 1.

use std::env;
use std::error::Error;
use std::io;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use args::Action;
use args::CacheArgs;
use args::ParsedSync;
use args::UsageError;

use crate::config::Config;
use crate::config::Environment;
use crate::config::keep_v3_root;
use crate::error::chain;
use crate::observe::error_file::ErrorFile;
use crate::observe::logging;
use crate::process::probe;
use crate::process::push;
use crate::process::run;
use crate::process::ssh;
use crate::redact;
use crate::redact::redact;
use crate::remote::auth::helper;
use crate::system::init;

/// Runs the action that the command line selects.
pub fn main() -> ExitCode {
    if init::is_needed() {
        return init::run();
    }
    match args::read(env::args_os().skip(1), Environment::variables()) {
        Ok(Action::Cache(args)) => cache(*args),
        Ok(Action::Credential(args)) => match helper::run(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fatal(&error),
        },
        Ok(Action::Print(text)) => {
            // A closed standard output is not an error.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Ok(Action::Probe(args)) => probe::run(&args),
        Ok(Action::Push(args)) => push::run(*args).unwrap_or_else(|error| fatal(&error)),
        Ok(Action::Ssh(args)) => ssh::run(&args),
        Ok(Action::Sync(typed)) => sync(*typed),
        Err(refusal) => {
            let UsageError {
                message,
                code,
                notices,
                error_file,
            } = refusal;
            logging::init(0);
            log_notices(&notices);
            let error_file = ErrorFile::new(Path::new("/"), error_file.as_deref());
            refuse(&message, code, &error_file)
        }
    }
}

#[cfg(feature = "cache")]
fn cache(args: CacheArgs) -> ExitCode {
    crate::process::cache::run(args).unwrap_or_else(|error| fatal(&error))
}

#[cfg(not(feature = "cache"))]
fn cache(_: CacheArgs) -> ExitCode {
    eprintln!("gitvolume-syncer: this build has no cache");
    ExitCode::from(run::FATAL)
}

fn sync(mut typed: ParsedSync) -> ExitCode {
    keep_v3_root(&mut typed);
    let ParsedSync {
        sync,
        flags,
        names,
        notices,
        ignored: _,
        is_root_the_images: _,
        has_v3_depth: _,
    } = typed;
    logging::init(sync.process.verbose);
    redact::hide_environment(Environment::variables());
    redact::hide_flags(&sync.repo);
    log_notices(&notices);
    let root = sync.repo.root.clone().unwrap_or_default();
    let error_file = ErrorFile::new(&root, sync.repo.error_file.as_deref());
    match Config::new(sync, &names, Environment::of_process()) {
        Ok(config) => run::sync(config, &flags).unwrap_or_else(|error| fatal(&error)),
        Err(error) => refuse(&chain(&error), run::FATAL, &error_file),
    }
}

/// Logs warnings about the command line and the environment.
fn log_notices(notices: &[String]) {
    for notice in notices {
        tracing::info!("{notice}");
    }
}

fn fatal(error: &dyn Error) -> ExitCode {
    eprintln!("gitvolume-syncer: {}", redact(&chain(error)));
    ExitCode::from(run::FATAL)
}

/// Reports why the program does not start: on standard error, and in the error file.
fn refuse(message: &str, code: u8, error_file: &ErrorFile) -> ExitCode {
    let message = redact(message);
    eprintln!("gitvolume-syncer: {message}\nsee --help for the flags and --man for the manual");
    error_file.write_text(&message);
    ExitCode::from(code)
}
