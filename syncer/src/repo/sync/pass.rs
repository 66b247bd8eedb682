//! A full pass: fetch, files, and the switch.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::error::chain;
use crate::git::Hash;
use crate::observe::report::Outcome;
use crate::poll::PriorState;
use crate::redact::redact;
use crate::remote::auth::RemoteCredentials;
use crate::remote::throttle::answers_with_page;
use crate::repo::mirror::Check;
use crate::repo::publish::error::PublishError;
use crate::repo::resolve::RemoteError;
use crate::repo::sync::PassError;
use crate::repo::sync::RepoSyncer;
use crate::repo::sync::error::Stage;
use crate::repo::sync::state::RepoState;
use crate::system::files;
use crate::tree::Tree;
use crate::tree::TreeState;
use crate::tree::selection::Checkout;
use crate::tree::selection::UnchangedFiles;

impl RepoSyncer {
    pub(super) async fn pass(
        &mut self,
        granted: Option<Arc<RemoteCredentials>>,
        deadline: Instant,
    ) -> Result<(Outcome, Tree), PassError> {
        if !self.mirror.is_there() {
            self.state.unverified(Check::Connectivity);
        }
        if let RepoState::Unverified(check) = self.state {
            self.state = self.prepare(check, deadline).await?;
        }
        let checkout = Checkout::wanted(&self.config).map_err(PublishError::from)?;
        let kept = self.kept_once(&checkout)?;
        let commit = match (&self.state, &kept) {
            (RepoState::Pinned(commit), _) => commit.clone(),
            (_, Some(commit)) => commit.clone(),
            _ => self.fetch(granted, deadline).await?,
        };
        let checkout = checkout.with_lfs(&self.config, self.auth.granted());
        let old = self.layout.current()?;
        let current = old.clone().filter(|tree| {
            tree.commit == commit && self.layout.is_intact(tree, &checkout.selection)
        });
        let is_pinned = self.is_pinned();
        if !is_pinned && kept.is_none() && (current.is_none() || !self.state.is_published()) {
            self.metrics.count_fetch();
        }
        let (tree, outcome) = match current {
            Some(tree) => {
                tracing::info!(v = 2, "ref" = %self.config.rev, tag = self.remote.tag_of(&commit), remote = %commit, "update not required");
                // A killed process may have switched the tree without completing its links.
                self.show(&tree, None).await?;
                (tree, Outcome::Unchanged)
            }
            None => (
                self.update(old.as_ref(), &commit, &checkout, deadline)
                    .await?,
                Outcome::Updated,
            ),
        };
        self.hooks.published(&self.git, &tree, old.as_ref());
        if outcome == Outcome::Updated {
            self.poller.has_published();
        }
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
        granted: Option<Arc<RemoteCredentials>>,
        deadline: Instant,
    ) -> Result<Hash, PassError> {
        let grant = match granted {
            Some(grant) => grant,
            None => self.refresh(deadline).await?,
        };
        if let Some((commit, as_of)) = self.fetch_from_cache(&grant, deadline).await {
            self.fetched_as_of = as_of;
            return Ok(commit);
        }
        let loan = self.poller.lend(&grant, self.private.dir());
        let git = loan.as_ref().and_then(|loan| loan.git(&self.git));
        let git = git.as_ref().unwrap_or(&self.git).session(deadline);
        let resolved = self.remote.resolve(git, &self.mirror).await;
        drop(loan);
        let commit = match resolved {
            Ok(commit) => commit,
            Err(RemoteError::Empty(_))
                if answers_with_page(&self.config.repo.url, &grant).await =>
            {
                return Err(PassError::at(Stage::Fetch, RemoteError::Page));
            }
            Err(error) => {
                let refused = self.poller.refused();
                return Err(PassError::of_fetch(error, refused));
            }
        };
        self.fetched_as_of = None;
        self.poller
            .git_succeeded(&self.config, &grant, &self.git, self.mirror.git_dir())
            .await;
        Ok(commit)
    }

    /// Fetches from the pull-through cache; `None` if it does not offer a commit, or if that fails:
    /// the git host has it, too. The time is that of the git host's answer, if it is unreachable.
    async fn fetch_from_cache(
        &mut self,
        grant: &Arc<RemoteCredentials>,
        deadline: Instant,
    ) -> Option<(Hash, Option<Timestamp>)> {
        self.config.cache.as_ref()?;
        let prior = match self.remote.last() {
            Some(_) => PriorState::Fetched,
            // Only the first pass looks at the disk for it.
            None => match self.layout.current() {
                Ok(None) => PriorState::Empty,
                Ok(Some(_)) | Err(_) => PriorState::EarlierTree,
            },
        };
        let git_dir = self.mirror.git_dir();
        let offer = self
            .poller
            .offer(&self.config, grant, &self.git, git_dir, prior)
            .await?;
        let as_of = offer.as_of;
        let git = self.auth.git_for_cache(&self.git)?;
        // The rest of the time is for the git host.
        let git = git.session(deadline - deadline.saturating_duration_since(Instant::now()) / 2);
        match self
            .remote
            .resolve_from_cache(git, &self.mirror, offer)
            .await
        {
            Ok(commit) => Some((commit, as_of)),
            Err(error) => {
                let reason = redact(&chain(&error));
                tracing::info!(
                    v = 0,
                    reason,
                    "the fetch from the cache failed, fetching from the git host"
                );
                None
            }
        }
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
                TreeState::OtherSelection => "the selection of files has changed",
                TreeState::Unverified if !self.layout.is_comparable() => {
                    "the files must be compared with the commit"
                }
                TreeState::Complete | TreeState::Unverified => "the published tree is damaged",
            },
            Some(_) => "the ref has moved",
        };
        let tag = self.remote.tag_of(commit);
        tracing::info!("ref" = %self.config.rev, tag, local = old, remote = %commit, why, "update required");
        let mut found = self.layout.find(commit, &checkout.selection);
        if let Some(tree) = &found
            && checkout.unchanged == UnchangedFiles::Linked
            && !tree.is_as_written().await.map_err(PublishError::from)?
        {
            // Another tree may have the same files, and someone may have edited them there.
            found = None;
        }
        let tree = match found {
            Some(tree) => tree,
            None => {
                let git = self.git.session(deadline).at(self.mirror.git_dir());
                self.layout.build(git, commit, checkout).await?
            }
        };
        self.hooks.about_to_publish(&self.git, &tree, current);
        let committed = self.remote.committed(commit);
        self.show(&tree, committed).await?;
        if let Some(old) = current.filter(|old| old.dir != tree.dir && old.dir.is_dir()) {
            // Its grace period starts now. The new tree is already published, so it is no failure
            // if this one belongs to another user or is gone.
            if let Err(error) = files::touch(&old.dir) {
                let reason = chain(&error);
                tracing::info!(reason, tree = %old.dir.display(), "cannot update the modification time of the old tree");
            }
            if checkout.selection.is_of_commit_alone()
                && let Err(error) = self.layout.retire(old)
            {
                let reason = chain(&error);
                tracing::info!(reason, tree = %old.dir.display(), "cannot remove files of the old tree");
            }
        }
        let tag = self.remote.tag_of(commit);
        tracing::info!("ref" = %self.config.rev, tag, local = old, remote = %commit, tree = %tree.dir.display(), "updated successfully");
        Ok(tree)
    }

    /// The commit of a complete tree that a one-time run keeps without contacting the remote: an
    /// init container runs again after a reboot or a restart of the Pod's containers.
    fn kept_once(&self, checkout: &Checkout) -> Result<Option<Hash>, PublishError> {
        if !self.config.one_time || !self.layout.is_of_request() {
            return Ok(None);
        }
        let current = self.layout.current()?;
        let current = current.filter(|tree| self.layout.is_intact(tree, &checkout.selection));
        Ok(current.map(|tree| tree.commit))
    }

    async fn show(
        &mut self,
        tree: &Tree,
        committed: Option<SystemTime>,
    ) -> Result<(), PublishError> {
        let (layout, published) = (self.layout.clone(), tree.clone());
        // Not on the event loop: a layout may move many files.
        let publishing = tokio::task::spawn_blocking(move || layout.publish(&published));
        publishing.await.map_err(|error| PublishError::Io {
            path: tree.dir.clone(),
            source: io::Error::other(error),
        })??;
        self.record(tree, committed);
        Ok(())
    }

    /// Records the published tree, and the commit's date if it is new.
    pub(super) fn record(&mut self, tree: &Tree, committed: Option<SystemTime>) {
        self.metrics.published(&tree.commit, committed);
        let tag = self.remote.tag_of(&tree.commit);
        self.health.set_published(tree.commit.as_str(), tag);
        let proof = self.layout.proof(tree);
        self.status.published(proof);
        self.set_as_of(self.fetched_as_of);
    }

    /// Records when the git host named the published commit, if it is unreachable since.
    pub(super) fn set_as_of(&mut self, as_of: Option<Timestamp>) {
        if as_of.is_none() && self.status.as_of().is_some() {
            tracing::info!(v = 0, "the git host answers again");
        }
        self.fetched_as_of = as_of;
        self.metrics.set_as_of(as_of.map(SystemTime::from));
        self.health.set_as_of(as_of);
        self.status.set_as_of(as_of);
    }
}
