//! The lookup of programs, by the rules of Go's `exec` and therefore of git-sync.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;

use nix::unistd::AccessFlags;
use nix::unistd::access;

/// Finds a program. A name with a `/` is a path, relative to `base`; any other is looked up in
/// `path`, except in its relative parts, which would depend on the current directory.
pub(crate) fn find(program: &Path, base: &Path, path: &OsStr) -> Option<PathBuf> {
    if program.as_os_str().as_encoded_bytes().contains(&b'/') {
        return Some(base.join(program));
    }
    env::split_paths(path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(program))
        .find(|file| is_executable(file))
}

/// Whether the process may execute a file.
pub(crate) fn is_executable(file: &Path) -> bool {
    file.is_file() && access(file, AccessFlags::X_OK).is_ok()
}
