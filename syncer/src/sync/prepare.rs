//! What comes before a pass where the disk is not known to be good.

use tokio::time::Instant;

use crate::checkout::Checkout;
use crate::files;
use crate::publish::PublishError;
use crate::sync::Sync;
use crate::sync::chain;
use crate::sync::error::Condition;
use crate::sync::error::SyncError;
use crate::tree::Tree;
use crate::tree::Verdict;

impl Sync {
    /// Makes good what an earlier process, or a failed pass, may have left; asks no remote, so a
    /// tree that is published stays published while the remote is gone.
    pub(super) async fn prepare(&mut self, deadline: Instant) -> Result<(), SyncError> {
        let layout = self.layout.clone();
        files::blocking(move || layout.clean())
            .await
            .map_err(SyncError::Clean)?;
        let is_syncers = self.layout.is_surely_a_syncers();
        let is_checked = self.condition == Condition::Untidy;
        let is_new = self
            .mirror
            .prepare(&self.git, is_syncers, is_checked, deadline)
            .await?;
        if is_new {
            self.remote.forget();
            self.growth.forget();
        } else if !is_checked {
            self.sweep(deadline).await?;
        }
        let url = &self.config.repo.url;
        self.mirror.name_origin(&self.git, url, deadline).await?;
        if let Some(tree) = self.layout.current()? {
            self.trust(&tree, deadline).await?;
        }
        self.condition = Condition::Good;
        Ok(())
    }

    /// Lets git forget what no tree needs: the refs of trees that were never finished, and what was
    /// fetched in vain, which may be what fills the volume.
    async fn sweep(&mut self, deadline: Instant) -> Result<(), SyncError> {
        if let Some(below) = self.layout.refs() {
            let refs = self.mirror.refs_below(&self.git, below, deadline).await?;
            for name in refs.iter().filter(|name| !self.layout.has_tree(name)) {
                self.mirror.release(&self.git, name, deadline).await?;
            }
        }
        if std::mem::take(&mut self.in_vain) > 0 {
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

    /// Declares the published tree whole if it is, whoever made it.
    async fn trust(&mut self, tree: &Tree, deadline: Instant) -> Result<(), SyncError> {
        let checkout = Checkout::wanted(&self.config).map_err(PublishError::from)?;
        match tree.verdict(&checkout.selection) {
            Verdict::Whole => {}
            // It will be made anew once the commit is known that is wanted now.
            Verdict::Other => {}
            Verdict::Unknown => {
                let is_done = checkout.is_done(&self.git, tree, deadline).await;
                if !is_done.map_err(PublishError::from)? {
                    self.repair(tree, &checkout, deadline).await;
                    return Ok(());
                }
                tree.mark(&checkout.selection).map_err(PublishError::from)?;
            }
        }
        self.note(tree, None)
    }

    /// Makes the published tree again from the objects we have. Should some be missing, the fetch
    /// that follows brings them.
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
