//! What comes before a pass where the disk is not known to be as we left it.

use tokio::time::Instant;

use crate::check::Check;
use crate::check::half_of;
use crate::checkout::Checkout;
use crate::files;
use crate::git::GitError;
use crate::sync::Sync;
use crate::sync::chain;
use crate::sync::error::PassError;
use crate::sync::error::Stage;
use crate::sync::error::StepError;
use crate::sync::state::RepoState;
use crate::tree::Tree;
use crate::tree::TreeError;
use crate::tree::TreeState;

impl Sync {
    /// Makes good what an earlier process, or a failed pass, may have left; asks no remote, so a
    /// tree that is published stays published while the remote is gone.
    pub(super) async fn prepare(
        &mut self,
        check: Check,
        deadline: Instant,
    ) -> Result<RepoState, PassError> {
        if check > Check::Tidy {
            let is_syncers = self.layout.is_surely_a_syncers();
            self.mirror.claim(is_syncers).map_err(failed)?;
        }
        let layout = self.layout.clone();
        files::blocking(move || layout.clean())
            .await
            .map_err(|error| failed(StepError::Clean(error)))?;
        let is_new = self.mirror.prepare(&self.git, check, deadline).await;
        if is_new.map_err(failed)? {
            self.remote.forget();
            self.growth.forget();
            self.poller.forget();
        }
        // What is left to do may fail, and is no reason to check all objects again.
        self.state = RepoState::Unverified(Check::Tidy);
        self.sweep(deadline).await?;
        let url = &self.config.repo.url;
        let named = self.mirror.name_origin(&self.git, url, deadline).await;
        named.map_err(failed)?;
        if let Some(tree) = self.layout.current()? {
            self.trust(&tree, deadline).await?;
        }
        Ok(RepoState::Verified)
    }

    /// Lets git forget what no tree needs: the refs of trees that were never finished, and fetched
    /// commits that could not be published, which may be what fills the volume.
    async fn sweep(&mut self, deadline: Instant) -> Result<(), PassError> {
        if let Some(below) = self.layout.refs() {
            let refs = self.mirror.refs_below(&self.git, below, deadline).await;
            let refs = refs.map_err(failed)?;
            for name in refs.iter().filter(|name| !self.layout.has_tree(name)) {
                let released = self.mirror.release(&self.git, name, deadline).await;
                released.map_err(failed)?;
            }
        }
        if std::mem::take(&mut self.unpublished_fetches) > 0 {
            let swept = self
                .mirror
                .collect_garbage(&self.git, self.config.gc, deadline)
                .await;
            if let Err(error) = swept {
                tracing::info!(
                    reason = chain(&error),
                    "cannot clean the local repository up"
                );
            }
        }
        Ok(())
    }

    /// Declares the published tree complete if it is, whoever made it.
    async fn trust(&mut self, tree: &Tree, deadline: Instant) -> Result<(), PassError> {
        let checkout = Checkout::wanted(&self.config).map_err(failed)?;
        match tree.state(&checkout.selection) {
            TreeState::Complete => {}
            // It will be made anew once the commit is known that is wanted now.
            TreeState::OtherSelection => {}
            TreeState::Unverified => {
                let half = half_of(deadline);
                match checkout.is_done(&self.git, tree, half).await {
                    Ok(true) => {}
                    Ok(false) => {
                        self.repair(tree, &checkout, half).await;
                        return Ok(());
                    }
                    Err(TreeError::Git(GitError::TimedOut { .. })) => {
                        tracing::info!(
                            "the check of the published tree took too long, going on without"
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

    /// Makes the published tree again from the objects we have. Should some be missing, or a
    /// submodule's host hang, the fetch that follows has its time, and what is needed for it.
    async fn repair(&mut self, tree: &Tree, checkout: &Checkout, deadline: Instant) {
        let repaired = self
            .update(Some(tree), &tree.commit, checkout, deadline)
            .await;
        if let Err(error) = repaired {
            tracing::info!(
                reason = chain(&error),
                "cannot repair the tree from what we have"
            );
        }
    }
}

fn failed(error: impl Into<StepError>) -> PassError {
    PassError::at(Stage::Prepare, error)
}
