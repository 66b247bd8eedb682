//! Finds the programs that `tests/tools/build.sh` builds.

use std::path::PathBuf;

use crate::settings;

/// Finds one program; a missing one panics with the command that provides it.
pub fn tool(name: &str) -> PathBuf {
    let program = settings::tools().join(name);
    assert!(
        program.is_file(),
        "{} is missing: run make tools, or tests/tools/build.sh {name}",
        program.display()
    );
    program
}
