//! Removes trees that are no longer published, once their readers had the time they were promised.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use args::GarbageCollection;
use tokio::time::Instant;

use crate::files;
use crate::git::Git;
use crate::git::GitError;
use crate::mirror::Mirror;
use crate::publish::Layout;
use crate::tree::Tree;

/// Says why old trees stay for now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GcError {
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("cannot remove old trees")]
    Io(#[source] io::Error),
}

/// The trees but the current one that were last touched longer ago than `timeout`.
pub(crate) fn stale(
    layout: &Layout,
    current: &Tree,
    timeout: Duration,
) -> Result<Vec<PathBuf>, GcError> {
    let others = layout.others(current).map_err(GcError::Io)?.into_iter();
    Ok(others.filter(|dir| is_older_than(dir, timeout)).collect())
}

/// Removes trees, and lets git forget what only they needed.
pub(crate) async fn remove(
    git: &Git,
    mirror: &Mirror,
    layout: &Arc<Layout>,
    stale: &[PathBuf],
    how: GarbageCollection,
    deadline: Instant,
) -> Result<(), GcError> {
    for dir in stale {
        tracing::info!(v = 1, tree = %dir.display(), "removing an old tree");
        if let Some(name) = layout.kept_ref(dir) {
            mirror.release(git, &name, deadline).await?;
        }
        let (layout, dir) = (layout.clone(), dir.clone());
        files::blocking(move || layout.remove(&dir))
            .await
            .map_err(GcError::Io)?;
    }
    Ok(mirror.collect_garbage(git, how, deadline).await?)
}

/// Judges by the directory's time of change, which is set when the tree ceases to be published and
/// so survives a restart. A time in the future is a clock that was set back: the tree's time begins
/// again, or it might stay for years.
fn is_older_than(dir: &Path, timeout: Duration) -> bool {
    let changed = fs::symlink_metadata(dir).and_then(|found| found.modified());
    let Ok(changed) = changed else {
        return false;
    };
    match changed.elapsed() {
        Ok(age) => age >= timeout,
        // A file, or what is not ours to write to, is as old as it can be.
        Err(_) => files::touch(dir).is_err() || timeout.is_zero(),
    }
}
