//! The app that reads, and the check that what it reads is whole.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::revision::LINES;
use crate::revision::UNCHANGED;
use crate::revision::noise;
use crate::revision::unchanged_content;
use crate::revision::unchanged_path;

/// Resolves the link once, and reads the whole tree; returns the revision.
pub(crate) fn read_revision(link: &Path) -> Result<u64, String> {
    let tree = fs::canonicalize(link).map_err(|error| format!("{}: {error}", link.display()))?;
    let revisions = read_files(&tree)?;
    let one = revisions.first().copied().unwrap_or_default();
    if revisions.len() != 1 {
        return Err(format!("files of several revisions: {revisions:?}"));
    }
    let only: Vec<String> = fs::read_dir(&tree)
        .map_err(|error| format!("{}: {error}", tree.display()))?
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with("only-"))
        .collect();
    if only != [format!("only-{one}")] {
        return Err(format!("{one} has {only:?}"));
    }
    Ok(one)
}

/// Reads each file that all revisions have; returns the revisions that the files are of.
pub(crate) fn read_files(tree: &Path) -> Result<BTreeSet<u64>, String> {
    let text = |name: &str| {
        let path = tree.join(name);
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let number = |name: &str, text: &str| {
        let parsed = text.parse::<u64>();
        parsed.map_err(|_| format!("{name} says {text:?}"))
    };
    let mut revisions = BTreeSet::new();
    for name in ["one", "two"] {
        revisions.insert(number(name, &text(name)?)?);
    }
    let long = text("dir/long")?;
    let line = long.lines().next().unwrap_or_default();
    if long != format!("{line}\n").repeat(LINES) {
        return Err(format!("dir/long of {line} is not whole"));
    }
    revisions.insert(number("dir/long", line)?);
    let path = tree.join("noise");
    let found = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    // It names no revision: it is that of a file before it or of one after it.
    let last = revisions.last().copied().unwrap_or_default();
    let near = last.saturating_sub(4)..=last + 4;
    let Some(of) = near.into_iter().find(|&near| noise(near) == found) else {
        return Err(format!("noise is of no revision near {last}"));
    };
    revisions.insert(of);
    for file in 0..UNCHANGED {
        let name = unchanged_path(file);
        if text(&name)? != unchanged_content(file) {
            return Err(format!("{name} has changed"));
        }
    }
    Ok(revisions)
}
