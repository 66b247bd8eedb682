//! The names by which a finished clone and an unfinished one are recognised.

use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

use crate::system::files;

/// The directory of a clone that is being created or moved.
pub(crate) const SCRATCH: &str = ".gitvolume-clone";

/// A directory of a new file system, which is not a user's file.
pub(crate) const LOST_AND_FOUND: &str = "lost+found";

/// The file in a clone's `.git` that marks it complete.
pub(crate) fn marker(dir: &Path) -> PathBuf {
    dir.join(".git/gitvolume-cloned")
}

/// Whether a clone that was made here still exists, possibly changed by the app.
pub(crate) fn exists(dir: &Path) -> bool {
    let names = || files::names_in(dir).unwrap_or_default();
    let is_apps = |name: &OsString| name != SCRATCH && name != LOST_AND_FOUND;
    marker(dir).is_file() || (!dir.join(SCRATCH).exists() && names().iter().any(is_apps))
}
