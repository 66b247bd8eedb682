//! Answers the kubelet: is a whole tree published? It looks at the disk alone, so a syncer whose
//! remote is gone stays started, and prints why not, for `kubectl describe`.

use std::process::ExitCode;

use args::ProbeArgs;

use crate::redact::redact;
use crate::status::Record;

const STILL_CLONING: &str = "the first clone is still running";

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
    let record = Record::read(&args.state)
        .map_err(|error| format!("cannot read the state in {}: {error}", args.state.display()))?
        .unwrap_or_default();
    if record
        .published
        .is_some_and(|published| published.is_whole())
    {
        return Ok(());
    }
    Err(record.error.unwrap_or_else(|| STILL_CLONING.to_owned()))
}
