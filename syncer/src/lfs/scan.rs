//! The pointers among a tree's files.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use args::Subdir;

use crate::git::WorkTree;
use crate::git::session::PATHS_PER_COMMAND;
use crate::git::work_tree::ATTRIBUTES;
use crate::git::work_tree::may_have;
use crate::lfs::LfsError;
use crate::lfs::Pointer;
use crate::lfs::pointer::MAX_POINTER;
use crate::system::files;

/// The attribute `filter` of files that Git LFS manages.
const FILTER: &str = "lfs";

/// A file that is a pointer.
#[derive(Clone, Debug)]
pub(super) struct PointerFile {
    /// Relative to the tree; in a submodule, to the tree of the repository itself.
    pub(super) path: PathBuf,
    pub(super) pointer: Pointer,
}

/// The files of a submodule as [`pointers`] lists them, by their paths in the tree at `top`. git
/// checks out all files of a submodule: those outside of the published subdirectory are left out.
pub(super) async fn pointers_in_submodule(
    top: &Path,
    subdir: Option<&Subdir>,
    module: WorkTree<'_>,
) -> Result<Vec<PointerFile>, LfsError> {
    let below = module.dir.strip_prefix(top).unwrap_or(module.dir);
    let mut pointers = pointers(module).await?;
    for file in &mut pointers {
        file.path = below.join(&file.path);
    }
    pointers.retain(|file| subdir.is_none_or(|dir| file.path.starts_with(dir.as_path())));
    Ok(pointers)
}

/// The checked-out files that are pointers and have the attribute `filter=lfs`. Files of submodules
/// are not among them.
pub(super) async fn pointers(tree: WorkTree<'_>) -> Result<Vec<PointerFile>, LfsError> {
    let (dir, index) = (tree.dir.to_owned(), tree.index.to_owned());
    let found = files::blocking(move || {
        // Without attributes no file has a filter.
        if !may_have(&index, ATTRIBUTES) {
            return Ok(Vec::new());
        }
        candidates(&dir)
    });
    let mut found = found
        .await
        .map_err(|source| LfsError::io(tree.dir, source))?;
    if found.is_empty() {
        return Ok(found);
    }
    // A submodule has attributes of its own.
    let submodules = tree.ls_files_submodules().await?;
    let is_own = |file: &PointerFile| !submodules.iter().any(|dir| file.path.starts_with(dir));
    found.retain(is_own);
    let mut pointers = Vec::new();
    for files in found.chunks(PATHS_PER_COMMAND) {
        let paths = files.iter().map(|file| file.path.as_path());
        let filters = tree.check_attr_filter(paths).await?;
        let filtered = files.iter().zip(filters);
        let filtered = filtered.filter(|(_, filter)| filter == FILTER);
        pointers.extend(filtered.map(|(file, _)| file.clone()));
    }
    Ok(pointers)
}

fn candidates(dir: &Path) -> io::Result<Vec<PointerFile>> {
    let mut found = Vec::new();
    files::visit(dir, &mut |path| {
        if fs::symlink_metadata(path)?.len() <= MAX_POINTER
            && let Some(pointer) = Pointer::of_file(path)?
        {
            let path = path.strip_prefix(dir).unwrap_or(path).to_owned();
            found.push(PointerFile { path, pointer });
        }
        Ok(())
    })?;
    Ok(found)
}
