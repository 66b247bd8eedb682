//! The comparison of files with a commit, by content.

use std::fs;
use std::io;

use crate::git::GitError;
use crate::git::Hash;
use crate::git::WorkTree;
use crate::git::session::PATHS_PER_COMMAND;
use crate::lfs::is_content;
use crate::system::files;

/// Compares files with a commit through a fresh index. Only files that the patterns exclude may be
/// missing. With `lfs`, the content of a Git LFS pointer is equal to the pointer. Submodules are not
/// compared.
pub(crate) async fn is_equal(
    tree: WorkTree<'_>,
    commit: &Hash,
    left_out: &[String],
    lfs: bool,
) -> Result<bool, GitError> {
    // An existing index is not used, since its metadata decides which files git trusts.
    tree.read_tree(commit).await?;
    tree.update_index_refresh().await?;
    let differing = tree.diff_files().await?;
    let (missing, differing): (Vec<String>, Vec<String>) = differing
        .into_iter()
        .partition(|path| fs::symlink_metadata(tree.dir.join(path)).is_err());
    Ok(missing == left_out && are_as_written(tree, &differing, lfs).await?)
}

/// Compares files with those that git writes. With attributes that convert files, git may report a
/// difference in a file it has just written: one that is stored with CRLF and has `eol=crlf`.
async fn are_as_written(tree: WorkTree<'_>, paths: &[String], lfs: bool) -> Result<bool, GitError> {
    let scratch = tree.index.with_extension("written");
    let mut are_equal = true;
    for paths in paths.chunks(PATHS_PER_COMMAND) {
        are_equal = are_equal && files::remove_blocking(&scratch).await.is_ok();
        if !are_equal {
            break;
        }
        tree.checkout_index(&scratch, paths).await?;
        let (dir, scratch, paths) = (tree.dir.to_owned(), scratch.clone(), paths.to_vec());
        let compared = files::blocking(move || {
            let is_same = |path: &String| {
                let (file, written) = (dir.join(path), scratch.join(path));
                Ok::<_, io::Error>(
                    files::are_same(&file, &written)? || lfs && is_content(&file, &written)?,
                )
            };
            Ok(paths.iter().all(|path| is_same(path).unwrap_or(false)))
        });
        are_equal = compared.await.unwrap_or(false);
    }
    if !paths.is_empty() {
        // The next comparison removes the rest.
        let _ = files::remove_blocking(&scratch).await;
    }
    Ok(are_equal)
}
