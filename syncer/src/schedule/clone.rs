//! A clone as the kubelet creates it for a `gitRepo` volume: a real directory with the whole
//! history, created once and never changed again (pkg/volume/git_repo of Kubernetes).
//!
//! It is created in a scratch directory inside its target, which may be a mount point and so cannot
//! be renamed; marked complete by a file in its `.git`; and moved out, `.git` last. The record on
//! the state volume names it as well: the clone belongs to the app, which may remove `.git`.

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use args::Revision;
use tokio::time::Instant;

use crate::config::RepoConfig;
use crate::error::chain;
use crate::git::Git;
use crate::git::GitError;
use crate::git::Hash;
use crate::git::permits::Permits;
use crate::git::permits::Priority;
use crate::observe::health::Phase;
use crate::observe::report::Outcome;
use crate::observe::report::Report;
use crate::redact;
use crate::remote::auth::Auth;
use crate::remote::auth::AuthError;
use crate::remote::auth::Stamp;
use crate::remote::private::Private;
use crate::remote::throttle::answers_with_page;
use crate::repo::context::SharedContext;
use crate::repo::resolve::RemoteError;
use crate::repo::resolve::full_name;
use crate::repo::resolve::highest;
use crate::repo::status::Published;
use crate::repo::status::RECORD_PERIOD;
use crate::repo::status::Status;
use crate::repo::status::View;
use crate::schedule::ended::Ended;
use crate::schedule::limits::Limits;
use crate::schedule::wait::sleep_unless;
use crate::system::files;
use crate::tree::caveats;
use crate::tree::clone;
use crate::tree::clone::LOST_AND_FOUND;
use crate::tree::clone::SCRATCH;
use crate::tree::clone::marker;

/// An error of a clone.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CloneError {
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("cannot clone into {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error("{} is in the way: a clone needs an empty directory; move it, or choose another directory", .0.display())]
    Foreign(PathBuf),
}

/// One clone and its state.
pub(crate) struct RepoCloner {
    /// Its root is the directory of the clone.
    config: Box<RepoConfig>,
    private: Private,
    git: Git,
    auth: Auth,
    permits: Permits,
    status: Status,
    /// The tag that a range of versions selected in this process.
    tag: Option<String>,
    /// The last attempt failed.
    is_troubled: bool,
}

impl RepoCloner {
    /// Creates the cloner without contacting the remote.
    pub(crate) fn new(
        config: Box<RepoConfig>,
        private: Private,
        common: &SharedContext,
        report: &Report,
    ) -> Result<Self, AuthError> {
        let mut git = common.git.clone();
        Ok(Self {
            auth: Auth::new(&config, &private, &mut git, report.metrics.clone())?,
            status: Status::open(config.state.as_deref()),
            permits: common.permits.clone(),
            tag: None,
            is_troubled: false,
            config,
            private,
            git,
        })
    }

    /// Clones, with retries; then returns, or waits until the process ends.
    pub(crate) async fn follow(&mut self, mut limits: Limits, mut report: Report) -> Ended {
        loop {
            report.health.set_phase(Phase::Syncing);
            let began = Instant::now();
            let secret = Stamp::of(&self.config);
            let made = self.once(&report).await;
            self.is_troubled = made.is_err();
            let made = made.map_err(|error| redact::redact(&chain(&error)));
            self.status.ended(made.as_ref().err().cloned());
            let wait = match made {
                Ok(outcome) => {
                    report.succeeded(outcome, began.elapsed());
                    if limits.is_one_time() {
                        return Ended::Done;
                    }
                    tracing::info!("the clone is complete, no further sync needed");
                    report.health.set_phase(Phase::Done);
                    self.keep_record().await
                }
                Err(error) => match limits.after_failure(&error, began.elapsed(), &report) {
                    Some(wait) => wait,
                    None => return Ended::GaveUp,
                },
            };
            report.health.set_next_pass_in(wait);
            sleep_unless(|| Stamp::of(&self.config) != secret, wait).await;
        }
    }

    /// Restores the record that `probe` reads if it is removed; nothing else is left to do.
    async fn keep_record(&mut self) -> Duration {
        loop {
            tokio::time::sleep(RECORD_PERIOD).await;
            self.status.ended(None);
        }
    }

    async fn once(&mut self, report: &Report) -> Result<Outcome, CloneError> {
        let _permit = self
            .permits
            .acquire(Priority::after(self.is_troubled))
            .await;
        let deadline = Instant::now() + self.config.sync_timeout;
        let outcome = if self.is_done() {
            Outcome::Unchanged
        } else {
            self.make(deadline).await?;
            report.metrics.count_fetch();
            Outcome::Updated
        };
        let commit = self.head(&self.config.root, deadline).await?;
        if let Some(commit) = &commit {
            report.metrics.published(commit, None);
            report
                .health
                .set_published(commit.as_str(), self.tag.as_deref());
        }
        tracing::info!(
            dir = %self.config.root.display(),
            tag = self.tag,
            commit = commit.as_ref().map(Hash::as_str).unwrap_or_default(),
            isNew = outcome == Outcome::Updated,
            "cloned"
        );
        if let (Outcome::Updated, Some(commit)) = (outcome, &commit) {
            let index = self.config.root.join(".git/index");
            let dir = &self.config.root;
            Box::pin(caveats::report(commit, dir, dir, &index)).await;
        }
        let published = Published {
            commit: commit.map(|commit| commit.to_string()).unwrap_or_default(),
            tree: self.config.root.clone(),
            marker: marker(&self.config.root),
            view: View::Clone {},
        };
        self.status.published(published);
        Ok(outcome)
    }

    fn is_done(&self) -> bool {
        let dir = &self.config.root;
        let is_done = marker(dir).is_file() || (self.status.has_clone(dir) && clone::exists(dir));
        if is_done {
            // The empty scratch directory of a process that was killed at the very end.
            let _ = std::fs::remove_dir(dir.join(SCRATCH));
        }
        is_done
    }

    async fn make(&mut self, deadline: Instant) -> Result<(), CloneError> {
        let scratch = self.config.root.join(SCRATCH);
        if !marker(&scratch).is_file() {
            files::remove_blocking(&scratch)
                .await
                .map_err(|source| self.io(source))?;
            self.refuse_foreign()?;
            self.clone_into(&scratch, deadline).await?;
        }
        self.refuse_both(&scratch)?;
        let root = self.config.root.clone();
        files::blocking(move || move_out(&scratch, &root))
            .await
            .map_err(|source| self.io(source))
    }

    /// Refuses to overwrite files that have appeared in the meantime.
    fn refuse_both(&self, scratch: &Path) -> Result<(), CloneError> {
        let names = files::names_in(scratch).map_err(|source| self.io(source))?;
        let mut paths = names.iter().map(|name| self.config.root.join(name));
        match paths.find(|path| path.symlink_metadata().is_ok()) {
            Some(path) => Err(CloneError::Foreign(path)),
            None => Ok(()),
        }
    }

    /// Refuses a directory that is not empty: it may contain a user's work.
    fn refuse_foreign(&self) -> Result<(), CloneError> {
        let names = files::names_in(&self.config.root).map_err(|source| self.io(source))?;
        match names.iter().find(|name| *name != LOST_AND_FOUND) {
            Some(name) => Err(CloneError::Foreign(self.config.root.join(name))),
            None => Ok(()),
        }
    }

    async fn clone_into(&mut self, scratch: &Path, deadline: Instant) -> Result<(), CloneError> {
        let grant = self
            .auth
            .refresh(&self.config, &self.private, &mut self.git, deadline)
            .await?;
        let rev = self.config.rev.as_str();
        tracing::info!("ref" = rev, dir = %self.config.root.display(), "cloning");
        let git = self.git.session(deadline);
        git.clone_all(&self.config.repo.url, scratch).await?;
        if let Some(range) = self.config.rev.range() {
            let listed = git
                .at(&scratch.join(".git"))
                .for_each_ref("refs/tags")
                .await?;
            let names = listed
                .iter()
                .filter_map(|name| name.strip_prefix("refs/tags/"));
            let tag = highest(range, names)?;
            git.checkout(scratch, &full_name(&tag)).await?;
            self.tag = Some(tag);
        } else if self.config.rev != Revision::default() {
            git.checkout(scratch, rev).await?;
        }
        if self.head(scratch, deadline).await?.is_none() {
            if answers_with_page(&self.config.repo.url, &grant).await {
                return Err(RemoteError::Page.into());
            }
            tracing::info!(
                v = 0,
                "nothing was checked out: the repository is empty, or its default branch does not exist"
            );
        }
        files::write_atomic(&marker(scratch), b"", files::PLAIN_MODE)
            .map_err(|source| self.io(source))
    }

    /// The commit that is checked out; `None` for a repository without commits.
    async fn head(&self, dir: &Path, deadline: Instant) -> Result<Option<Hash>, GitError> {
        let git_dir = dir.join(".git");
        if !git_dir.is_dir() {
            return Ok(None);
        }
        // By its full path: the mount point around it may belong to another user, and git would
        // refuse it.
        self.git
            .session(deadline)
            .at(&git_dir)
            .rev_parse_head()
            .await
    }

    fn io(&self, source: io::Error) -> CloneError {
        CloneError::Io {
            path: self.config.root.clone(),
            source,
        }
    }
}

/// Moves the clone to its target; `.git` last, since it contains the marker.
fn move_out(scratch: &Path, dir: &Path) -> io::Result<()> {
    let names = files::names_in(scratch)?;
    let (git, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| name == ".git");
    for name in others.into_iter().chain(git) {
        files::rename(&scratch.join(&name), &dir.join(&name))?;
    }
    files::remove_any(scratch)
}
