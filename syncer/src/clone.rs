//! A clone as the kubelet makes one for a `gitRepo` volume: a real directory with all of the history,
//! made once and never touched again (pkg/volume/git_repo of Kubernetes).
//!
//! It is made in a directory of ours inside its place, which may be a mount point and so cannot be
//! renamed; declared done by a marker in its `.git`; and moved out, `.git` last. The record on the
//! state volume knows of it, too: what is made is the app's, which may remove `.git`.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use args::Revision;
use tokio::time::Instant;

use crate::auth::Auth;
use crate::auth::AuthError;
use crate::auth::Stamp;
use crate::caveats;
use crate::config::RepoConfig;
use crate::files;
use crate::follow::Common;
use crate::follow::Ended;
use crate::follow::sleep_unless;
use crate::git::Git;
use crate::git::GitError;
use crate::git::Hash;
use crate::health::Phase;
use crate::limits::Limits;
use crate::permits::Permits;
use crate::private::Private;
use crate::redact;
use crate::report::Report;
use crate::status::Published;
use crate::status::Status;
use crate::sync::Outcome;
use crate::sync::chain;

/// The directory of a clone that is being made, or moved out.
const SCRATCH: &str = ".gitvolume-clone";

/// What says that a clone is whole, in its `.git`.
const DONE: &str = "gitvolume-cloned";

/// A new file system's own, which is nobody's work.
const LOST_AND_FOUND: &str = "lost+found";

/// Why there is no clone.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CloneError {
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("cannot clone into {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is in the way: a clone is made in an empty directory; move it, or choose another one", .0.display())]
    Foreign(PathBuf),
}

/// One clone and everything that is its own.
pub(crate) struct Cloner {
    /// Its root is the directory of the clone.
    config: Box<RepoConfig>,
    private: Private,
    git: Git,
    auth: Auth,
    permits: Permits,
    status: Status,
    /// The last attempt failed.
    is_troubled: bool,
}

impl Cloner {
    /// Puts the parts together; nothing is asked of the remote yet.
    pub(crate) fn new(
        config: Box<RepoConfig>,
        private: Private,
        common: &Common,
        report: &Report,
    ) -> Result<Self, AuthError> {
        let mut git = common.git.clone();
        Ok(Self {
            auth: Auth::new(&config, &private, &mut git, report.metrics.clone())?,
            status: Status::open(config.state.as_deref()),
            permits: common.permits.clone(),
            is_troubled: false,
            config,
            private,
            git,
        })
    }

    /// Clones, as often as it takes; then ends, or waits until the process does.
    pub(crate) async fn follow(&mut self, mut limits: Limits, mut report: Report) -> Ended {
        loop {
            report.health.is_now(Phase::Syncing);
            let began = Instant::now();
            let secret = Stamp::of(&self.config);
            let made = self.once(&report).await;
            self.is_troubled = made.is_err();
            let made = made.map_err(|error| redact::redact(&chain(&error)));
            if let Err(error) = self.status.ended(made.as_ref().err().cloned()) {
                let error = chain(&error);
                tracing::error!(error, "cannot write the state for the probe");
            }
            let wait = match made {
                Ok(outcome) => {
                    report.succeeded(outcome, began.elapsed());
                    if limits.is_one_time() {
                        return Ended::Done;
                    }
                    tracing::info!("the clone is made, no further sync needed");
                    report.health.is_now(Phase::Done);
                    std::future::pending::<Duration>().await
                }
                Err(error) => match limits.after_failure(&error, began.elapsed(), &report) {
                    Some(wait) => wait,
                    None => return Ended::GaveUp,
                },
            };
            report.health.waits(wait);
            sleep_unless(|| Stamp::of(&self.config) != secret, wait).await;
        }
    }

    async fn once(&mut self, report: &Report) -> Result<Outcome, CloneError> {
        let _permit = self.permits.take(self.is_troubled).await;
        let deadline = Instant::now() + self.config.sync_timeout;
        let outcome = match self.is_done() {
            true => Outcome::Unchanged,
            false => {
                self.make(deadline).await?;
                report.metrics.count_fetch();
                Outcome::Updated
            }
        };
        let commit = self.head(&self.config.root, deadline).await?;
        if let Some(commit) = &commit {
            report.metrics.published(commit, None);
            report.health.shows(commit.as_str());
        }
        tracing::info!(
            dir = %self.config.root.display(),
            commit = commit.as_ref().map(Hash::as_str).unwrap_or_default(),
            isNew = outcome == Outcome::Updated,
            "cloned"
        );
        if let (Outcome::Updated, Some(commit)) = (outcome, &commit) {
            let index = self.config.root.join(".git/index");
            Box::pin(caveats::report(commit, &self.config.root, &index)).await;
        }
        let published = Published {
            commit: commit.map(|commit| commit.to_string()).unwrap_or_default(),
            link: None,
            target: PathBuf::new(),
            tree: self.config.root.clone(),
            marker: marker(&self.config.root),
        };
        // The clone is made, whatever comes of its record.
        if let Err(error) = self.status.published(published) {
            let error = chain(&error);
            tracing::error!(error, "cannot write the state for the probe");
        }
        Ok(outcome)
    }

    fn is_done(&self) -> bool {
        let dir = &self.config.root;
        let is_done = marker(dir).is_file() || (self.status.has_clone(dir) && is_there(dir));
        if is_done {
            // What is left of it where an earlier process was killed at the very end: empty.
            let _ = std::fs::remove_dir(dir.join(SCRATCH));
        }
        is_done
    }

    async fn make(&mut self, deadline: Instant) -> Result<(), CloneError> {
        let scratch = self.config.root.join(SCRATCH);
        if !marker(&scratch).is_file() {
            let begun = scratch.clone();
            files::blocking(move || files::remove_any(&begun))
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

    /// Refuses to move anything over what has come meanwhile.
    fn refuse_both(&self, scratch: &Path) -> Result<(), CloneError> {
        let names = files::names_in(scratch).map_err(|source| self.io(source))?;
        let mut paths = names.iter().map(|name| self.config.root.join(name));
        match paths.find(|path| path.symlink_metadata().is_ok()) {
            Some(path) => Err(CloneError::Foreign(path)),
            None => Ok(()),
        }
    }

    /// Refuses a directory that holds anything: it may be someone's work.
    fn refuse_foreign(&self) -> Result<(), CloneError> {
        let names = files::names_in(&self.config.root).map_err(|source| self.io(source))?;
        match names.iter().find(|name| *name != LOST_AND_FOUND) {
            Some(name) => Err(CloneError::Foreign(self.config.root.join(name))),
            None => Ok(()),
        }
    }

    async fn clone_into(&mut self, scratch: &Path, deadline: Instant) -> Result<(), CloneError> {
        self.auth
            .refresh(&self.config, &self.private, &mut self.git, deadline)
            .await?;
        let rev = self.config.rev.as_str();
        tracing::info!("ref" = rev, dir = %self.config.root.display(), "cloning");
        let to = scratch.display().to_string();
        self.git
            .command("clone")
            .current_dir(&self.config.root)
            .arg("--quiet")
            .user_args([self.config.repo.url.as_str(), to.as_str()])
            .run(deadline)
            .await?;
        if self.config.rev != Revision::default() {
            // Behind it `--`, so that a file of this name is not meant.
            let checkout = self.git.command("checkout").current_dir(scratch);
            let checkout = checkout.arg("--quiet").arg(rev).arg("--");
            checkout.run(deadline).await?;
            let reset = self.git.command("reset").current_dir(scratch);
            reset.arg("--quiet").arg("--hard").run(deadline).await?;
        }
        files::write_atomic(&marker(scratch), b"", files::PLAIN_MODE)
            .map_err(|source| self.io(source))
    }

    /// The commit that is checked out; a repository without commits has none.
    async fn head(&self, dir: &Path, deadline: Instant) -> Result<Option<Hash>, GitError> {
        let git_dir = dir.join(".git");
        if !git_dir.is_dir() {
            return Ok(None);
        }
        // By its own name: the mount point around it is another user's, and git would refuse.
        let answer = self
            .git
            .command("rev-parse")
            .git_dir(&git_dir)
            .arg("--verify")
            .arg("--quiet")
            .arg("HEAD")
            .run(deadline)
            .await;
        match answer {
            Ok(answer) => Ok(answer.trim().parse().ok()),
            Err(GitError::Failed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn io(&self, source: io::Error) -> CloneError {
        CloneError::Io {
            path: self.config.root.clone(),
            source,
        }
    }
}

/// Tells whether a clone that was made here is here still, or what the app made of it.
pub(crate) fn is_there(dir: &Path) -> bool {
    let names = || files::names_in(dir).unwrap_or_default();
    let is_apps = |name: &OsString| name != SCRATCH && name != LOST_AND_FOUND;
    marker(dir).is_file() || (!dir.join(SCRATCH).exists() && names().iter().any(is_apps))
}

fn marker(dir: &Path) -> PathBuf {
    dir.join(".git").join(DONE)
}

/// Moves what was cloned to where it is wanted; `.git` last, since the marker is in it.
fn move_out(scratch: &Path, dir: &Path) -> io::Result<()> {
    let names = files::names_in(scratch)?;
    let (git, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| name == ".git");
    for name in others.into_iter().chain(git) {
        files::rename(&scratch.join(&name), &dir.join(&name))?;
    }
    files::remove_any(scratch)
}
