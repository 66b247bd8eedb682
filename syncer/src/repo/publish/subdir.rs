//! The check of the published subdirectory.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use args::Subdir;

use crate::repo::publish::error::PublishError;
use crate::system::files;

/// Refuses a tree without the configured subdirectory. No component of its path may be a symlink,
/// which could lead out of the tree.
pub(super) fn check(tree: &Path, subdir: Option<&Subdir>) -> Result<(), PublishError> {
    let Some(subdir) = subdir else {
        return Ok(());
    };
    let io = |source: io::Error| PublishError::Io {
        path: tree.to_owned(),
        source,
    };
    let refused = |what: String| PublishError::Subdir {
        subdir: subdir.to_string(),
        what,
    };
    let mut path = PathBuf::new();
    for name in subdir.names() {
        path.push(name);
        let found = files::absent_is_none(fs::symlink_metadata(tree.join(&path))).map_err(io)?;
        let shown = path.display();
        match found {
            Some(found) if found.is_dir() => {}
            Some(found) if found.is_symlink() => {
                return Err(refused(format!(
                    "{shown} is a symlink, which the syncer does not follow"
                )));
            }
            Some(_) => return Err(refused(format!("{shown} is a file"))),
            None => return Err(refused("no entry of that name was checked out".to_owned())),
        }
    }
    let names = files::names_in(&tree.join(subdir.as_path())).map_err(io)?;
    if names.is_empty() {
        // git does not track empty directories.
        let what = "it is empty, possibly a submodule that was not checked out";
        return Err(refused(what.to_owned()));
    }
    Ok(())
}
