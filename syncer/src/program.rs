//! Finds programs as Go's `exec` does, and so git-sync.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;

use nix::unistd::AccessFlags;
use nix::unistd::access;

/// Finds a program. One with a `/` in its name is a path, relative to `base`; any other is looked up
/// in `path`, whose relative parts are not used: they would be wherever we happen to be.
pub(crate) fn find(program: &Path, base: &Path, path: &OsStr) -> Option<PathBuf> {
    if program.as_os_str().as_encoded_bytes().contains(&b'/') {
        return Some(base.join(program));
    }
    env::split_paths(path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(program))
        .find(|file| is_executable(file))
}

/// Tells whether a file can be run by us.
pub(crate) fn is_executable(file: &Path) -> bool {
    file.is_file() && access(file, AccessFlags::X_OK).is_ok()
}
