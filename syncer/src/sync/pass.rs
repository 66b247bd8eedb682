//! A pass of git: fetch, files, and the switch.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use crate::auth::Grant;
use crate::checkout::Checkout;
use crate::files;
use crate::git::Hash;
use crate::mirror::Check;
use crate::publish::PublishError;
use crate::sync::Outcome;
use crate::sync::PassError;
use crate::sync::Sync;
use crate::sync::chain;
use crate::sync::error::Stage;
use crate::sync::state::RepoState;
use crate::tree::Tree;
use crate::tree::TreeState;

impl Sync {
    pub(super) async fn pass(
        &mut self,
        granted: Option<Arc<Grant>>,
        deadline: Instant,
    ) -> Result<(Outcome, Tree), PassError> {
        if !self.mirror.is_there() {
            self.state.unverified(Check::Connectivity);
        }
        if let RepoState::Unverified(check) = self.state {
            self.state = self.prepare(check, deadline).await?;
        }
        let commit = match &self.state {
            RepoState::Pinned(commit) => commit.clone(),
            _ => self.fetch(granted, deadline).await?,
        };
        let checkout = Checkout::wanted(&self.config).map_err(PublishError::from)?;
        let old = self.layout.current()?;
        let current = old.clone().filter(|tree| {
            tree.commit == commit && self.layout.is_intact(tree, &checkout.selection)
        });
        let is_pinned = self.is_pinned();
        if !is_pinned && (current.is_none() || !self.state.is_published()) {
            self.metrics.count_fetch();
        }
        let (tree, outcome) = match current {
            Some(tree) => {
                tracing::info!(v = 2, "ref" = %self.config.rev, remote = %commit, "update not required");
                // A killed process may have switched the tree and linked no further.
                self.show(&tree, None)?;
                (tree, Outcome::Unchanged)
            }
            None => (
                self.update(old.as_ref(), &commit, &checkout, deadline)
                    .await?,
                Outcome::Updated,
            ),
        };
        self.hooks.published(&self.git, &tree, old.as_ref());
        self.state = if self.remote.is_pinned_to(&commit) {
            if !is_pinned {
                tracing::info!("ref" = %self.config.rev, "ref appears to be a git hash, no further sync needed");
            }
            RepoState::Pinned(commit)
        } else {
            RepoState::Published { snapshot: None }
        };
        Ok((outcome, tree))
    }

    async fn fetch(
        &mut self,
        granted: Option<Arc<Grant>>,
        deadline: Instant,
    ) -> Result<Hash, PassError> {
        let grant = match granted {
            Some(grant) => grant,
            None => self.refresh(deadline).await?,
        };
        let last = self.remote.last().cloned();
        let size = self.growth.before().await;
        let commit = self
            .remote
            .resolve(&self.git, &self.mirror, deadline)
            .await
            .map_err(|error| PassError::at(Stage::Fetch, error))?;
        if self.remote.last() == last.as_ref() {
            self.growth.is_still(size);
        } else {
            self.metrics.count_objects(self.growth.since(size).await);
        }
        self.poller
            .git_succeeded(&self.config, &grant, &self.git, &self.mirror)
            .await;
        Ok(commit)
    }

    pub(super) async fn update(
        &mut self,
        current: Option<&Tree>,
        commit: &Hash,
        checkout: &Checkout,
        deadline: Instant,
    ) -> Result<Tree, PassError> {
        let old = current.map(|tree| tree.commit.as_str()).unwrap_or_default();
        let why = match current {
            None => "nothing is published yet",
            Some(tree) if tree.commit == *commit => match tree.state(&checkout.selection) {
                TreeState::OtherSelection => "other files of the commit are wanted",
                TreeState::Complete | TreeState::Unverified => "the published tree is damaged",
            },
            Some(_) => "the ref has moved",
        };
        tracing::info!("ref" = %self.config.rev, local = old, remote = %commit, why, "update required");
        let tree = match self.layout.find(commit, &checkout.selection) {
            Some(tree) => tree,
            None => {
                self.layout
                    .build(&self.git, &self.mirror, commit, checkout, deadline)
                    .await?
            }
        };
        self.hooks.about_to_publish(&self.git, &tree, current);
        self.show(&tree, self.remote.committed(commit))?;
        if let Some(old) = current.filter(|old| old.dir != tree.dir && old.dir.is_dir()) {
            // Its grace begins now. The new tree is published: that this one is another user's, or
            // gone by now, is no failure.
            if let Err(error) = files::touch(&old.dir) {
                let reason = chain(&error);
                tracing::info!(reason, tree = %old.dir.display(), "cannot set the time of the old tree");
            }
        }
        tracing::info!("ref" = %self.config.rev, local = old, remote = %commit, tree = %tree.dir.display(), "updated successfully");
        Ok(tree)
    }

    fn show(&mut self, tree: &Tree, committed: Option<SystemTime>) -> Result<(), PublishError> {
        self.layout.publish(tree)?;
        self.record(tree, committed);
        Ok(())
    }

    /// Records what readers see, and the commit's date if it is news to them. The tree is published
    /// whatever comes of it.
    pub(super) fn record(&mut self, tree: &Tree, committed: Option<SystemTime>) {
        self.metrics.published(&tree.commit, committed);
        self.health.shows(tree.commit.as_str());
        let proof = self.layout.proof(tree);
        if let Err(error) = self.status.published(proof) {
            tracing::error!(
                error = chain(&error),
                "cannot write the state for the probe"
            );
        }
    }
}
