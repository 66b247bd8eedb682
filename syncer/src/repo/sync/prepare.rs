//! The preparation of a pass when the state of the disk is unknown.

use tokio::time::Instant;

use crate::error::chain;
use crate::lfs::LfsError;
use crate::repo::mirror::Check;
use crate::repo::mirror::CollectWhen;
use crate::repo::mirror::half_of;
use crate::repo::sync::RepoSyncer;
use crate::repo::sync::error::PassError;
use crate::repo::sync::error::Stage;
use crate::repo::sync::error::StepError;
use crate::repo::sync::state::RepoState;
use crate::system::files;
use crate::tree::Tree;
use crate::tree::TreeError;
use crate::tree::TreeState;
use crate::tree::selection::Checkout;

impl RepoSyncer {
    /// Repairs what an earlier process or a failed pass may have left. It contacts no remote, so a
    /// published tree stays published while the remote is down.
    pub(super) async fn prepare(
        &mut self,
        check: Check,
        deadline: Instant,
    ) -> Result<RepoState, PassError> {
        if check > Check::Tidy {
            let is_syncers = self.layout.owns_git_dir();
            self.mirror.claim(is_syncers).map_err(failed)?;
        }
        let layout = self.layout.clone();
        files::blocking(move || layout.clean())
            .await
            .map_err(|error| failed(StepError::Clean(error)))?;
        let is_new = self.mirror.prepare(self.git.session(deadline), check).await;
        if is_new.map_err(failed)? {
            self.remote.forget();
            self.poller.forget();
        }
        // The rest may fail, which does not require another check of all objects.
        self.state = RepoState::Unverified(Check::Tidy);
        self.sweep(deadline).await?;
        let url = &self.config.repo.url;
        let git = self.git.session(deadline);
        let named = self.mirror.name_origin(git, url).await;
        named.map_err(failed)?;
        if let Some(tree) = self.layout.current()? {
            self.trust(&tree, deadline).await?;
        }
        Ok(RepoState::Verified)
    }

    /// Removes what no tree needs: the refs of unfinished trees, and fetched commits without a
    /// publication, which may be what fills the volume.
    async fn sweep(&mut self, deadline: Instant) -> Result<(), PassError> {
        let git = self.git.session(deadline);
        if let Some(below) = self.layout.refs() {
            let repository = git.at(self.mirror.git_dir());
            let refs = repository.for_each_ref(below).await;
            let mut refs = refs.map_err(failed)?;
            refs.retain(|name| !self.layout.has_tree(name));
            let released = repository.delete_refs(&refs).await;
            released.map_err(failed)?;
        }
        if std::mem::take(&mut self.unpublished_fetches) > 0 {
            let now = CollectWhen::Now;
            let swept = self.mirror.collect_garbage(git, self.config.gc, now);
            if let Err(error) = swept.await {
                tracing::info!(
                    reason = chain(&error),
                    "cannot clean up the local repository"
                );
            }
        }
        Ok(())
    }

    /// Marks the published tree complete if it is, whichever program created it.
    async fn trust(&mut self, tree: &Tree, deadline: Instant) -> Result<(), PassError> {
        let checkout = Checkout::wanted(&self.config).map_err(failed)?;
        let checkout = checkout.with_lfs(&self.config, self.auth.granted());
        match tree.state(&checkout.selection) {
            TreeState::Complete => {}
            // It is recreated once the wanted commit is known.
            TreeState::OtherSelection => {}
            // Every file is compared in this way, too.
            TreeState::Unverified if !self.layout.is_comparable() => {
                self.repair(tree, &checkout, half_of(deadline)).await;
                return Ok(());
            }
            TreeState::Unverified => {
                let half = half_of(deadline);
                match checkout.is_done(self.git.session(half), tree).await {
                    Ok(true) => {}
                    Ok(false) => {
                        self.repair(tree, &checkout, half).await;
                        return Ok(());
                    }
                    // The state of the tree is then unknown, which does not prevent a fetch.
                    Err(TreeError::Git(error) | TreeError::Lfs(LfsError::Git(error))) => {
                        tracing::info!(
                            reason = error.to_string(),
                            "the published tree could not be checked, continuing without the check"
                        );
                        return Ok(());
                    }
                    Err(error) => return Err(failed(error)),
                }
                tree.mark(&checkout.selection).map_err(failed)?;
            }
        }
        self.record(tree, None);
        Ok(())
    }

    /// Recreates the published tree from local objects. If objects are missing or a submodule's
    /// host hangs, the fetch that follows still has its time, and gets what is needed.
    async fn repair(&mut self, tree: &Tree, checkout: &Checkout, deadline: Instant) {
        let repaired = self
            .update(Some(tree), &tree.commit, checkout, deadline)
            .await;
        if let Err(error) = repaired {
            tracing::info!(
                reason = chain(&error),
                "cannot repair the published tree from the local repository"
            );
        }
    }
}

fn failed(error: impl Into<StepError>) -> PassError {
    PassError::at(Stage::Prepare, error)
}
