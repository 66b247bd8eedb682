//! git's own repository on our disk: what was fetched, for as long as a tree needs it.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

use args::GarbageCollection;
use tokio::time::Instant;

use crate::files;
use crate::git::Git;
use crate::git::GitError;
use crate::git::Hash;
use crate::leftovers;

/// The branch that `HEAD` names, as in git-sync, so that each adopts the other's root.
const BRANCH: &str = "git-sync";

/// Directory of a repository that is being made.
const SCRATCH: &str = ".gitvolume-new";

/// Says why the mirror cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MirrorError {
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("cannot prepare {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// The repository that a remote is fetched into.
pub(crate) struct Mirror {
    git_dir: PathBuf,
    /// A command failed as if an object were damaged.
    is_doubted: bool,
}

/// What is wrong with a repository.
enum Trouble {
    /// It is someone's own, and may be their work.
    Foreign(&'static str),
    /// It is a syncer's, and all of it can be had again.
    Broken(String),
}

impl Mirror {
    /// Names the repository; `prepare` makes it.
    pub(crate) fn new(git_dir: PathBuf) -> Self {
        Self {
            git_dir,
            is_doubted: false,
        }
    }

    /// Where git's files are.
    pub(crate) fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// Tells whether history was cut by a depth.
    pub(crate) fn is_shallow(&self) -> bool {
        self.git_dir.join("shallow").exists()
    }

    /// Tells by a `stat` that nobody took the repository away.
    pub(crate) fn is_there(&self) -> bool {
        self.git_dir.join("HEAD").is_file()
    }

    /// Has the content of every object read at the next preparation, not only their connections:
    /// git could not make files of them.
    pub(crate) fn doubt(&mut self) {
        self.is_doubted = true;
    }

    /// Makes the repository, or checks the one that is there: what is ours and broken is made anew,
    /// what is not ours is set aside under a name of ours. `is_syncers` says that it is a syncer's,
    /// whatever it looks like; `is_checked` that only what a killed command leaves is to be removed.
    /// Tells whether the repository is new.
    pub(crate) async fn prepare(
        &mut self,
        git: &Git,
        is_syncers: bool,
        is_checked: bool,
        deadline: Instant,
    ) -> Result<bool, MirrorError> {
        let scratch = self.parent().join(SCRATCH);
        files::blocking(move || files::remove_any(&scratch))
            .await
            .map_err(|source| self.io(source))?;
        if is_checked {
            self.clear_leftovers().await?;
            return Ok(false);
        }
        if fs::symlink_metadata(&self.git_dir).is_ok() {
            match self.trouble(git, is_syncers, deadline).await? {
                None => return Ok(false),
                Some(Trouble::Foreign(reason)) => {
                    let aside = self.set_aside().map_err(|source| self.io(source))?;
                    tracing::info!(
                        repository = %self.git_dir.display(),
                        aside = %aside.display(),
                        reason,
                        "setting the repository aside that is in the way"
                    );
                }
                Some(Trouble::Broken(reason)) => {
                    tracing::info!(
                        repository = %self.git_dir.display(),
                        reason,
                        "the local repository is broken, making a new one"
                    );
                    let git_dir = self.git_dir.clone();
                    files::blocking(move || files::remove_any(&git_dir))
                        .await
                        .map_err(|source| self.io(source))?;
                }
            }
        }
        self.make(git, deadline).await?;
        self.is_doubted = false;
        Ok(true)
    }

    /// Makes the repository beside its place and renames it: half of one, left by a kill, would be
    /// taken for a stranger's.
    async fn make(&self, git: &Git, deadline: Instant) -> Result<(), MirrorError> {
        let scratch = self.parent().join(SCRATCH);
        let made = scratch.join(self.git_dir.file_name().unwrap_or_default());
        files::make_dir(&made).map_err(|source| self.io(source))?;
        git.command("init")
            .git_dir(&made)
            // Beside a directory called `.git` it is the repository of that place, as git-sync's;
            // from within it would be bare.
            .current_dir(&scratch)
            .arg("--quiet")
            .arg(format!("--initial-branch={BRANCH}"))
            .run(deadline)
            .await?;
        let git_dir = self.git_dir.clone();
        files::blocking(move || {
            files::rename(&made, &git_dir)?;
            files::remove_any(&scratch)
        })
        .await
        .map_err(|source| self.io(source))
    }

    async fn clear_leftovers(&self) -> Result<(), MirrorError> {
        let git_dir = self.git_dir.clone();
        files::blocking(move || leftovers::clear(&git_dir))
            .await
            .map_err(|source| self.io(source))
    }

    /// Says what is wrong with the repository that is there.
    async fn trouble(
        &mut self,
        git: &Git,
        is_syncers: bool,
        deadline: Instant,
    ) -> Result<Option<Trouble>, MirrorError> {
        if !self.git_dir.is_dir() {
            return Ok(Some(Trouble::Foreign("it is not a directory")));
        }
        let head = files::absent_is_none(fs::read_to_string(self.git_dir.join("HEAD")));
        let head = head.map_err(|source| self.io(source))?.unwrap_or_default();
        let own_branch = format!("refs/heads/{BRANCH}");
        let has_own_head = head.trim() == format!("ref: {own_branch}");
        // After a power failure the file may be empty, but the branch is still there.
        if !has_own_head && !is_syncers && !self.git_dir.join(&own_branch).is_file() {
            return Ok(Some(Trouble::Foreign("it was not made by a syncer")));
        }
        self.clear_leftovers().await?;
        if !has_own_head {
            // git-sync v3 stands on the branch that it follows.
            let moved = git
                .command("symbolic-ref")
                .git_dir(&self.git_dir)
                .arg("HEAD")
                .arg(own_branch)
                .run(deadline)
                .await;
            if let Some(trouble) = broken(moved)? {
                return Ok(Some(trouble));
            }
        }
        self.check_objects(git, deadline).await
    }

    /// Looks for missing objects, or for damaged ones too where there is doubt. A check that runs
    /// out of time is no verdict: what is published must not be the worse for it.
    async fn check_objects(
        &mut self,
        git: &Git,
        deadline: Instant,
    ) -> Result<Option<Trouble>, MirrorError> {
        let mut fsck = git
            .command("fsck")
            .git_dir(&self.git_dir)
            // Nothing of ours writes these two, and each is a further process to check.
            .config("core.commitGraph", "false")
            .config("core.multiPackIndex", "false")
            .arg("--no-progress")
            .arg("--no-dangling")
            // One line for each object that is missing; its verdict is its status.
            .lists_files();
        if !self.is_doubted {
            fsck = fsck.arg("--connectivity-only");
        }
        // The other half is for the sync itself.
        let now = Instant::now();
        let half = now + deadline.saturating_duration_since(now) / 2;
        match fsck.run(half).await {
            Err(GitError::TimedOut { .. }) => {
                tracing::info!("the check of the local repository took too long, going on without");
                Ok(None)
            }
            checked => {
                let trouble = broken(checked)?;
                self.is_doubted = false;
                Ok(trouble)
            }
        }
    }

    fn set_aside(&self) -> io::Result<PathBuf> {
        let parent = self.parent();
        // A fresh directory gives a name that nobody has.
        let aside = tempfile::Builder::new()
            .prefix(".gitvolume-aside-")
            .tempdir_in(parent)?
            .keep();
        let aside = aside.join(self.git_dir.file_name().unwrap_or_default());
        files::rename(&self.git_dir, &aside)?;
        Ok(aside)
    }

    /// The object that the last fetch put first: `HASH<tab>not-for-merge<tab>branch 'x' of …`.
    pub(crate) fn fetch_head(&self) -> Result<Hash, GitError> {
        let path = self.git_dir.join("FETCH_HEAD");
        let answer = fs::read_to_string(&path).unwrap_or_default();
        let first = answer.split_whitespace().next().unwrap_or_default();
        first.parse().map_err(|_| GitError::Unexpected {
            command: "git fetch".to_owned(),
            answer,
        })
    }

    /// The commit that a name stands for, through annotated tags, and its committer's date, where
    /// that can be read.
    pub(crate) async fn commit_of(
        &self,
        git: &Git,
        name: &str,
        deadline: Instant,
    ) -> Result<(Hash, Option<SystemTime>), GitError> {
        let answer = git
            .command("rev-list")
            .git_dir(&self.git_dir)
            .arg("--no-walk")
            .arg("--timestamp")
            .arg(format!("{name}^{{commit}}"))
            .run(deadline)
            .await?;
        let parsed = || {
            let (seconds, commit) = answer.trim().split_once(' ')?;
            let since = seconds.parse().map(Duration::from_secs).ok();
            let made = since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
            Some((commit.parse().ok()?, made))
        };
        parsed().ok_or_else(|| GitError::Unexpected {
            command: "git rev-list".to_owned(),
            answer: answer.clone(),
        })
    }

    /// Points a ref at a commit, so that no gc takes it away.
    pub(crate) async fn keep(
        &self,
        git: &Git,
        name: &str,
        commit: &Hash,
        deadline: Instant,
    ) -> Result<(), GitError> {
        git.command("update-ref")
            .git_dir(&self.git_dir)
            // A log of where we were would keep all that from gc.
            .config("core.logAllRefUpdates", "false")
            .arg(name)
            .arg(commit.as_str())
            .run(deadline)
            .await
            .map(drop)
    }

    /// Removes a ref that kept a commit; one that is not there is well.
    pub(crate) async fn release(
        &self,
        git: &Git,
        name: &str,
        deadline: Instant,
    ) -> Result<(), GitError> {
        git.command("update-ref")
            .git_dir(&self.git_dir)
            .arg("-d")
            .arg(name)
            .run(deadline)
            .await
            .map(drop)
    }

    /// Tells git where the files came from, as git-sync does: consumers see it, and submodules'
    /// relative addresses begin there.
    pub(crate) async fn name_origin(
        &self,
        git: &Git,
        url: &str,
        deadline: Instant,
    ) -> Result<(), GitError> {
        let fetch = "+refs/heads/*:refs/remotes/origin/*";
        // As git writes it; where it would quote the address, it is simply asked again.
        let section = format!("[remote \"origin\"]\n\turl = {url}\n\tfetch = {fetch}\n");
        let config = fs::read_to_string(self.git_dir.join("config")).unwrap_or_default();
        if config.contains(&section) {
            return Ok(());
        }
        for (key, value) in [("remote.origin.url", url), ("remote.origin.fetch", fetch)] {
            git.command("config")
                .git_dir(&self.git_dir)
                .arg("--replace-all")
                .arg(key)
                .arg(value)
                .run(deadline)
                .await?;
        }
        Ok(())
    }

    /// Lets trees have configuration of their own, as `git sparse-checkout` does.
    pub(crate) async fn allow_worktree_config(
        &self,
        git: &Git,
        deadline: Instant,
    ) -> Result<(), GitError> {
        git.command("config")
            .git_dir(&self.git_dir)
            .arg("extensions.worktreeConfig")
            .arg("true")
            .run(deadline)
            .await
            .map(drop)
    }

    /// Lists the refs below a name.
    pub(crate) async fn refs_below(
        &self,
        git: &Git,
        name: &str,
        deadline: Instant,
    ) -> Result<Vec<String>, GitError> {
        let listed = git
            .command("for-each-ref")
            .git_dir(&self.git_dir)
            .arg("--format=%(refname)")
            .arg(name)
            .run(deadline)
            .await?;
        Ok(listed.lines().map(str::to_owned).collect())
    }

    /// Throws away what no kept commit needs, in the user's way.
    pub(crate) async fn collect_garbage(
        &self,
        git: &Git,
        how: GarbageCollection,
        deadline: Instant,
    ) -> Result<(), GitError> {
        let command = |name| git.command(name).git_dir(&self.git_dir);
        let has_logs = how != GarbageCollection::Off && self.git_dir.join("logs").is_dir();
        if has_logs {
            // git-sync's, or of a user who wants them.
            let expire = command("reflog").arg("expire");
            let expire = expire.arg("--expire-unreachable=all").arg("--all");
            expire.run(deadline).await?;
        }
        match how {
            GarbageCollection::Off => {}
            GarbageCollection::Auto => {
                command("gc")
                    .arg("--quiet")
                    .arg("--auto")
                    .run(deadline)
                    .await?;
            }
            GarbageCollection::Aggressive => {
                let gc = command("gc").arg("--quiet").arg("--aggressive");
                gc.run(deadline).await?;
            }
            // What `git gc` does for the disk, without the six processes that do the rest of it.
            GarbageCollection::Always => {
                let repack = command("repack").arg("-a").arg("-d").arg("-l").arg("-q");
                repack.run(deadline).await?;
                if self.has_loose_objects().unwrap_or(true) {
                    command("prune").arg("--expire=now").run(deadline).await?;
                }
            }
        }
        Ok(())
    }

    /// Tells whether objects are left outside of packs: after a repack only those are that nobody
    /// needs.
    fn has_loose_objects(&self) -> io::Result<bool> {
        let objects = self.git_dir.join("objects");
        for name in files::names_in(&objects)? {
            if name.len() == 2 && !files::names_in(&objects.join(name))?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn parent(&self) -> &Path {
        self.git_dir.parent().unwrap_or(Path::new("/"))
    }

    fn io(&self, source: io::Error) -> MirrorError {
        MirrorError::Io {
            path: self.git_dir.clone(),
            source,
        }
    }
}

/// Takes git's refusal for a verdict on the repository, and anything else for an error.
fn broken(ended: Result<String, GitError>) -> Result<Option<Trouble>, MirrorError> {
    match ended {
        Ok(_) => Ok(None),
        Err(error @ GitError::Failed { why: None, .. }) => {
            Ok(Some(Trouble::Broken(error.to_string())))
        }
        Err(error) => Err(error.into()),
    }
}
