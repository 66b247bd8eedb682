//! `probe`, for the kubelet: whether a complete tree of each repository of the process is
//! published. It reads only the disk, so that a syncer whose remote is down stays started, and
//! prints the reason of a failure for `kubectl describe`.

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use args::ProbeArgs;
use args::probe::STILL_CLONING;
use jiff::Timestamp;

use crate::redact::redact;
use crate::repo::status;
use crate::repo::status::Record;

/// The time between two looks at the disk while the probe waits.
const LOOK_PERIOD: Duration = Duration::from_millis(20);

/// The reason why a repository is not published.
struct Unpublished {
    reason: String,
    /// Whether a pass has failed; otherwise the first clone is running.
    has_failed: bool,
}

/// Runs the probe.
pub(crate) fn run(args: &ProbeArgs) -> ExitCode {
    let began = Instant::now();
    loop {
        match look(&args.state) {
            Ok(notes) => {
                print!("{notes}");
                return ExitCode::SUCCESS;
            }
            Err(unpublished) if !unpublished.has_failed && began.elapsed() < args.wait.get() => {
                thread::sleep(LOOK_PERIOD);
            }
            Err(Unpublished { reason, .. }) => {
                println!("{}", redact(&reason).replace('\n', " "));
                return ExitCode::FAILURE;
            }
        }
    }
}

/// Looks at all repositories. Returns one line for each that was published from the pull-through
/// cache and not compared with the git host since.
fn look(state: &Path) -> Result<String, Unpublished> {
    let states = status::announced(state).map_err(|error| unreadable(state, &error))?;
    let mut notes = String::new();
    let mut reasons = Vec::new();
    let mut has_failed = false;
    for (name, state) in states {
        let named = |text: String| match name.as_str() {
            "" => text,
            name => format!("{name}: {text}"),
        };
        match look_at(&state) {
            Ok(None) => {}
            Ok(Some(as_of)) => {
                let note = format!("published as of {as_of:.0}, the git host is unreachable since");
                notes.push_str(&named(note));
                notes.push('\n');
            }
            Err(unpublished) => {
                has_failed |= unpublished.has_failed;
                reasons.push(named(unpublished.reason));
            }
        }
    }
    if reasons.is_empty() {
        return Ok(notes);
    }
    Err(Unpublished {
        reason: reasons.join("; "),
        has_failed,
    })
}

/// Looks at one repository. Returns when the git host named its commit, if the host is unreachable
/// since.
fn look_at(state: &Path) -> Result<Option<Timestamp>, Unpublished> {
    let record = Record::read(state).map_err(|error| unreadable(state, &error))?;
    let record = record.unwrap_or_default();
    if record
        .published
        .is_some_and(|published| published.is_whole())
    {
        return Ok(record.as_of);
    }
    Err(Unpublished {
        has_failed: record.error.is_some(),
        reason: record.error.unwrap_or_else(|| STILL_CLONING.to_owned()),
    })
}

fn unreadable(state: &Path, error: &io::Error) -> Unpublished {
    Unpublished {
        reason: format!("cannot read the state in {}: {error}", state.display()),
        has_failed: true,
    }
}
