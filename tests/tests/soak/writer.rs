//! The app that edits the files of each revision, in every way that a program may.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use crate::revision::UNCHANGED;
use crate::revision::unchanged_content;
use crate::revision::unchanged_path;

/// The mode of a file as the syncer writes it.
const MODE: u32 = 0o644;

/// The tree that was edited last.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    edited: Option<PathBuf>,
}

impl Writer {
    /// Checks a new tree for edits of the one before, and edits it. Returns the revision of a new
    /// tree.
    pub(crate) fn look(&mut self, link: &Path) -> Result<Option<u64>, String> {
        let tree =
            fs::canonicalize(link).map_err(|error| format!("{}: {error}", link.display()))?;
        if self.edited.as_ref() == Some(&tree) {
            return Ok(None);
        }
        self.edited = Some(tree.clone());
        for file in 0..UNCHANGED {
            let path = tree.join(unchanged_path(file));
            let failed = |error| format!("{}: {error}", path.display());
            let (text, found) = (fs::read_to_string(&path), fs::metadata(&path));
            let (text, mode) = (
                text.map_err(failed)?,
                found.map_err(failed)?.permissions().mode() & 0o7777,
            );
            if text != unchanged_content(file) || mode != MODE {
                return Err(format!("{}: {text:?}, mode {mode:o}", path.display()));
            }
        }
        let one = fs::read_to_string(tree.join("one")).map_err(|error| error.to_string())?;
        let revision = one.parse().map_err(|_| format!("one says {one:?}"))?;
        edit(&tree, revision).map_err(|error| format!("an edit of {}: {error}", tree.display()))?;
        Ok(Some(revision))
    }
}

/// Edits every file that the next revision also has, each revision in other ways.
fn edit(tree: &Path, revision: u64) -> std::io::Result<()> {
    for file in 0..UNCHANGED {
        let path = tree.join(unchanged_path(file));
        match (file as u64 + revision) % 6 {
            0 => fs::write(&path, format!("edit {file}\n"))?,
            1 => {
                let mut open = fs::OpenOptions::new().append(true).open(&path)?;
                open.write_all(b"appended\n")?;
            }
            2 => fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?,
            3 => fs::OpenOptions::new().write(true).open(&path)?.set_len(1)?,
            4 => {
                let new = path.with_extension("new");
                fs::write(&new, "replaced\n")?;
                fs::rename(&new, &path)?;
            }
            _ => fs::remove_file(&path)?,
        }
    }
    Ok(())
}
