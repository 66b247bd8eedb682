//! Removal of unpublished trees after their grace period.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use args::GarbageCollection;

use crate::git::GitError;
use crate::git::GitSession;
use crate::repo::mirror::CollectWhen;
use crate::repo::mirror::Mirror;
use crate::repo::mirror::error::MirrorError;
use crate::repo::publish::layout::Layout;
use crate::system::files;
use crate::tree::Tree;

/// The reason why old trees are kept for now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GcError {
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    #[error("cannot remove old trees")]
    Io(#[source] io::Error),
}

/// The trees, except the current one, whose last modification is older than `timeout`.
pub(crate) fn stale(
    layout: &dyn Layout,
    current: &Tree,
    timeout: Duration,
) -> Result<Vec<PathBuf>, GcError> {
    let others = layout.others(current).map_err(GcError::Io)?.into_iter();
    Ok(others.filter(|dir| is_older_than(dir, timeout)).collect())
}

/// Removes trees and the git objects that only they need.
pub(crate) async fn remove(
    git: GitSession<'_>,
    mirror: &Mirror,
    layout: &Arc<dyn Layout>,
    stale: &[PathBuf],
    how: GarbageCollection,
    depth: u32,
) -> Result<(), GcError> {
    let kept = stale.iter().filter_map(|dir| layout.kept_ref(dir));
    let kept: Vec<String> = kept.collect();
    git.at(mirror.git_dir()).delete_refs(&kept).await?;
    for dir in stale {
        tracing::info!(v = 1, tree = %dir.display(), "removing an old tree");
        let (layout, dir) = (layout.clone(), dir.clone());
        files::blocking(move || layout.remove(&dir))
            .await
            .map_err(GcError::Io)?;
    }
    if depth == 1 && layout.refs().is_some() {
        mirror.prune_shallow(git).await?;
    }
    Ok(mirror.collect_garbage(git, how, CollectWhen::Pays).await?)
}

/// Uses the directory's modification time, which is set when the tree is no longer published and so
/// survives a restart. A time in the future means that a clock was set back: the tree's period
/// starts again, since otherwise it might be kept for years.
fn is_older_than(dir: &Path, timeout: Duration) -> bool {
    let changed = fs::symlink_metadata(dir).and_then(|found| found.modified());
    let Ok(changed) = changed else {
        return false;
    };
    match changed.elapsed() {
        Ok(age) => age >= timeout,
        // A file, or a directory that the syncer cannot write to, counts as old.
        Err(_) => files::touch(dir).is_err() || timeout.is_zero(),
    }
}
