//! What killed git commands leave in a repository of ours, and its removal: locks, which would stop
//! the next command, and parts of packs, which would fill the volume clone by clone.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;

use crate::files;

/// The directories of a repository in which git writes, and how many levels below them.
const PLACES: [(&str, u32); 5] = [
    ("", 0),
    ("info", 0),
    ("objects", 2),
    ("refs", u32::MAX),
    ("worktrees", 2),
];

/// Prefixes of what is being written among the objects: by the receiver of a pack, by loose objects,
/// and by `git repack`.
const PARTS: [&str; 3] = ["tmp_", "incoming-", ".tmp-"];

/// Removes everything of it. Only for a repository that nobody else writes to, and while no command
/// of ours is running.
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
            tracing::info!(path = %path.display(), "removing what a killed git command left");
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
    // A `.keep` holds a pack against gc while it is being received; a `gc.pid` stops gc for as long
    // as any process has that number, and in a container one soon has.
    name.ends_with(b".lock")
        || name == b"gc.pid"
        || begins(files::TEMPORARY)
        || is_object && (PARTS.into_iter().any(begins) || name.ends_with(b".keep"))
}
