//! Look-up of third-party programs that tests start.

use std::path::PathBuf;

use remotes::not_run;

use crate::settings;

/// The path of a program that `tests/tools/build.sh` builds; panics with the build command if it is
/// missing.
pub fn tool(name: &str) -> PathBuf {
    found(name).unwrap_or_else(|| {
        panic!("{name} is missing: run make tools, or tests/tools/build.sh {name}")
    })
}

/// The path of a program like [`tool`]; if it is missing, lists the calling test as not run.
#[track_caller]
pub fn found_or_not_run(name: &str) -> Option<PathBuf> {
    let found = found(name);
    if found.is_none() {
        not_run(&format!("{name} is neither built nor in PATH"));
    }
    found
}

/// Programs of `build.sh` take precedence over those of the machine.
fn found(name: &str) -> Option<PathBuf> {
    let folders = std::iter::once(settings::tools()).chain(settings::path());
    folders
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}
