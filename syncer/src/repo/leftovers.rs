//! Removal of what killed git commands leave in a syncer's repository: locks, which would block the
//! next command, and partial packs, which would fill the volume over time.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;

use crate::system::files;

/// The directories of a repository in which git writes, each with the depth to search.
const PLACES: [(&str, u32); 5] = [
    ("", 0),
    ("info", 0),
    ("objects", 2),
    ("refs", u32::MAX),
    ("worktrees", 2),
];

/// Prefixes of partial files among the objects: from a receiver of packs, from loose objects, and
/// from `git repack`.
const PARTS: [&str; 3] = ["tmp_", "incoming-", ".tmp-"];

/// Removes all leftovers. Call it only for a repository that no other process writes to, while no
/// git command of this process runs.
pub(crate) fn clear(git_dir: &Path) -> io::Result<()> {
    for (place, levels) in PLACES {
        clear_below(&git_dir.join(place), levels, place == "objects")?;
    }
    Ok(())
}

fn clear_below(dir: &Path, levels: u32, is_objects: bool) -> io::Result<()> {
    let Some(entries) = files::absent_is_none(fs::read_dir(dir))? else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry?;
        if is_leftover(&entry.file_name(), is_objects) {
            let path = entry.path();
            tracing::info!(path = %path.display(), "removing a leftover of a killed git command");
            files::remove_any(&path)?;
        } else if levels > 0 && entry.file_type()?.is_dir() {
            clear_below(&entry.path(), levels - 1, is_objects)?;
        }
    }
    Ok(())
}

fn is_leftover(name: &OsStr, is_object: bool) -> bool {
    let name = name.as_encoded_bytes();
    let begins = |prefix: &str| name.starts_with(prefix.as_bytes());
    // A `.keep` protects a pack from gc while it is received; a `gc.pid` blocks gc while any
    // process has that number, and in a container one soon has.
    name.ends_with(b".lock")
        || name == b"gc.pid"
        || begins(files::TEMPORARY)
        || is_object && (PARTS.into_iter().any(begins) || name.ends_with(b".keep"))
}
