//! Answers the kubelet: is a whole tree published, of each repository of the process? It looks at
//! the disk alone, so a syncer whose remote is gone stays started, and prints why not, for `kubectl
//! describe`.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use args::ProbeArgs;
use args::probe::STILL_CLONING;

use crate::redact::redact;
use crate::status;
use crate::status::Record;

/// Runs the probe.
pub(crate) fn run(args: &ProbeArgs) -> ExitCode {
    match answer(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            println!("{}", redact(&reason).replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

fn answer(args: &ProbeArgs) -> Result<(), String> {
    let states = status::announced(&args.state).map_err(|error| unreadable(&args.state, &error))?;
    let mut reasons = Vec::new();
    for (name, state) in states {
        if let Err(reason) = is_whole(&state) {
            reasons.push(match name.as_str() {
                "" => reason,
                name => format!("{name}: {reason}"),
            });
        }
    }
    if reasons.is_empty() {
        return Ok(());
    }
    Err(reasons.join("; "))
}

fn is_whole(state: &Path) -> Result<(), String> {
    let record = Record::read(state).map_err(|error| unreadable(state, &error))?;
    let record = record.unwrap_or_default();
    if record
        .published
        .is_some_and(|published| published.is_whole())
    {
        return Ok(());
    }
    Err(record.error.unwrap_or_else(|| STILL_CLONING.to_owned()))
}

fn unreadable(state: &Path, error: &io::Error) -> String {
    format!("cannot read the state in {}: {error}", state.display())
}
