//! The doors of the program: sync, `probe`, git's credential helper, and what process 1 does first.

use std::env;
use std::error::Error;
use std::io;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use args::Asked;
use args::Refusal;
use args::Typed;

use crate::auth::helper;
use crate::config::Config;
use crate::config::Environment;
use crate::config::keep_v3_root;
use crate::error_file::ErrorFile;
use crate::init;
use crate::logging;
use crate::probe;
use crate::redact;
use crate::redact::redact;
use crate::run;
use crate::sync::chain;

/// Runs the program that this process's arguments ask for.
pub fn main() -> ExitCode {
    if init::is_needed() {
        return init::run();
    }
    match args::read(env::args_os().skip(1), Environment::variables()) {
        Ok(Asked::Credential(args)) => match helper::run(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fatal(&error),
        },
        Ok(Asked::Print(text)) => {
            // A closed standard output is no reason to fail.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Ok(Asked::Probe(args)) => probe::run(&args),
        Ok(Asked::Sync(typed)) => sync(*typed),
        Err(refusal) => {
            let Refusal {
                message,
                code,
                notices,
                error_file,
            } = refusal;
            logging::init(0);
            tell(&notices);
            let error_file = ErrorFile::new(Path::new("/"), error_file.as_deref());
            refuse(&message, code, &error_file)
        }
    }
}

fn sync(mut typed: Typed) -> ExitCode {
    keep_v3_root(&mut typed);
    let Typed {
        sync,
        flags,
        names,
        notices,
        is_root_the_images: _,
    } = typed;
    logging::init(sync.process.verbose);
    redact::hide_environment(Environment::variables());
    redact::hide_flags(&sync.repo);
    tell(&notices);
    let root = sync.repo.root.clone().unwrap_or_default();
    let error_file = ErrorFile::new(&root, sync.repo.error_file.as_deref());
    match Config::new(sync, &names, Environment::of_process()) {
        Ok(config) => run::sync(config, &flags).unwrap_or_else(|error| fatal(&error)),
        Err(error) => refuse(&chain(&error), run::FATAL, &error_file),
    }
}

/// Tells what is odd about the command line and the environment, but no error.
fn tell(notices: &[String]) {
    for notice in notices {
        tracing::info!("{notice}");
    }
}

fn fatal(error: &dyn Error) -> ExitCode {
    eprintln!("gitvolume-syncer: {}", redact(&chain(error)));
    ExitCode::from(run::FATAL)
}

/// Says why the program does not begin: plainly, and in the file for errors too.
fn refuse(message: &str, code: u8, error_file: &ErrorFile) -> ExitCode {
    let message = redact(message);
    eprintln!("gitvolume-syncer: {message}\nsee --help for the flags and --man for the manual");
    error_file.write_text(&message);
    ExitCode::from(code)
}
