//! The list of tests that could not run on this machine, which `make test` prints at its end.

use std::fs;
use std::io;
use std::panic::Location;
use std::path::Path;
use std::path::PathBuf;
use std::thread;

/// Records that the calling test could not run, and prints the reason; the test then returns.
///
/// `reason` names what is missing, in a few words.
///
/// # Panics
/// If the list cannot be written: a test that did not run must not pass silently.
#[track_caller]
pub fn not_run(reason: &str) {
    let caller = Location::caller();
    let test = match thread::current().name() {
        // With one test thread all tests run in the main thread.
        None | Some("main") => format!("{}:{}", caller.file(), caller.line()),
        Some(name) => name.to_owned(),
    };
    println!("not run: {test}: {reason}");
    if let Err(error) = record(&test, reason) {
        panic!("{}: {error}", folder().display());
    }
}

/// Writes one file per test, named after it: several programs write at the same time.
fn record(test: &str, reason: &str) -> io::Result<()> {
    let name = test.replace('/', "-");
    fs::create_dir_all(folder())?;
    fs::write(folder().join(name), format!("{test}: {reason}\n"))
}

/// `target/not-run` in the checkout; `make test` empties it first.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/not-run")
}
