//! Finds the programs of others that tests start.

use std::path::PathBuf;

use remotes::not_run;

use crate::settings;

/// Finds a program that `tests/tools/build.sh` builds; a missing one panics with the command that
/// builds it.
pub fn tool(name: &str) -> PathBuf {
    found(name).unwrap_or_else(|| {
        panic!("{name} is missing: run make tools, or tests/tools/build.sh {name}")
    })
}

/// Finds a program as [`tool`] does; where it is missing, the calling test is listed as not run.
#[track_caller]
pub fn found_or_not_run(name: &str) -> Option<PathBuf> {
    let found = found(name);
    if found.is_none() {
        not_run(&format!("{name} is neither built nor in PATH"));
    }
    found
}

/// What `build.sh` built goes before what the machine has.
fn found(name: &str) -> Option<PathBuf> {
    let folders = std::iter::once(settings::tools()).chain(settings::path());
    folders
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}
