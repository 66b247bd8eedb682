//! git's own repository on our disk: what was fetched, for as long as a tree needs it.

mod check;

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
pub(crate) use crate::mirror::check::Check;
pub(crate) use crate::mirror::check::half_of;

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

/// The hash by which a repository names its objects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ObjectFormat {
    Sha1,
    Sha256,
}

/// The repository that a remote is fetched into.
pub(crate) struct Mirror {
    git_dir: PathBuf,
    /// What a new repository is made with.
    format: ObjectFormat,
}

impl Mirror {
    /// Names the repository; `prepare` makes it.
    pub(crate) fn new(git_dir: PathBuf) -> Self {
        Self {
            git_dir,
            format: ObjectFormat::Sha1,
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

    /// Makes a new repository, should one be made, with the object format of the remote, which git
    /// names when it refuses to fetch into another.
    pub(crate) fn follow_format(&mut self, refusal: Option<&GitError>) {
        let is_sha256 = matches!(
            refusal,
            Some(GitError::Failed { detail, .. }) if detail.contains("server sha256")
        );
        self.format = if is_sha256 {
            ObjectFormat::Sha256
        } else {
            ObjectFormat::Sha1
        };
    }

    /// Sets a repository aside under a name of ours if it was not made by a syncer: it may be the
    /// user's work. `is_syncers` says that it was, whatever it looks like.
    pub(crate) fn claim(&self, is_syncers: bool) -> Result<(), MirrorError> {
        let Some(reason) = self.foreign(is_syncers).map_err(|source| self.io(source))? else {
            return Ok(());
        };
        let aside = self.set_aside().map_err(|source| self.io(source))?;
        tracing::info!(
            repository = %self.git_dir.display(),
            aside = %aside.display(),
            reason,
            "setting the repository aside that is in the way"
        );
        Ok(())
    }

    /// Makes the repository, or checks the one that is there: a broken one is made anew, as all of it
    /// can be fetched again. Tells whether the repository is new.
    pub(crate) async fn prepare(
        &self,
        git: &Git,
        check: Check,
        deadline: Instant,
    ) -> Result<bool, MirrorError> {
        let scratch = self.parent().join(SCRATCH);
        files::blocking(move || files::remove_any(&scratch))
            .await
            .map_err(|source| self.io(source))?;
        if fs::symlink_metadata(&self.git_dir).is_ok() {
            let git_dir = self.git_dir.clone();
            files::blocking(move || leftovers::clear(&git_dir))
                .await
                .map_err(|source| self.io(source))?;
            let Some(reason) = self.trouble(git, check, deadline).await? else {
                return Ok(false);
            };
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
        self.make(git, deadline).await?;
        Ok(true)
    }

    /// Makes the repository beside its place and renames it: half of one, left by a kill, would be
    /// taken for a stranger's.
    async fn make(&self, git: &Git, deadline: Instant) -> Result<(), MirrorError> {
        let scratch = self.parent().join(SCRATCH);
        let made = scratch.join(self.git_dir.file_name().unwrap_or_default());
        files::make_dir(&made).map_err(|source| self.io(source))?;
        let mut init = git
            .command("init")
            .git_dir(&made)
            // Beside a directory called `.git` it is the repository of that place, as git-sync's;
            // from within it would be bare.
            .current_dir(&scratch)
            .arg("--quiet")
            .arg(format!("--initial-branch={BRANCH}"));
        if self.format == ObjectFormat::Sha256 {
            init = init.arg("--object-format=sha256");
        }
        init.run(deadline).await?;
        let git_dir = self.git_dir.clone();
        files::blocking(move || {
            files::rename(&made, &git_dir)?;
            files::remove_any(&scratch)
        })
        .await
        .map_err(|source| self.io(source))
    }

    /// Why the repository that is there is not a syncer's, if it is not.
    fn foreign(&self, is_syncers: bool) -> io::Result<Option<&'static str>> {
        if fs::symlink_metadata(&self.git_dir).is_err() {
            return Ok(None);
        }
        if !self.git_dir.is_dir() {
            return Ok(Some("it is not a directory"));
        }
        // After a power failure `HEAD` may be empty, but the branch is still there.
        let is_ours =
            is_syncers || self.has_own_head()? || self.git_dir.join(own_branch()).is_file();
        Ok((!is_ours).then_some("it was not made by a syncer"))
    }

    /// Tells whether `HEAD` names the branch of ours.
    pub(crate) fn has_own_head(&self) -> io::Result<bool> {
        let head = files::absent_is_none(fs::read_to_string(self.git_dir.join("HEAD")))?;
        let head = head.unwrap_or_default();
        Ok(head.trim() == format!("ref: {}", own_branch()))
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

    /// The type of what an object stands for, through annotated tags.
    pub(crate) async fn kind_of(
        &self,
        git: &Git,
        object: &Hash,
        deadline: Instant,
    ) -> Result<String, GitError> {
        let kind = git
            .command("cat-file")
            .git_dir(&self.git_dir)
            .arg("-t")
            .arg(format!("{object}^{{}}"))
            .run(deadline)
            .await?;
        Ok(kind.trim().to_owned())
    }

    /// The default branch of a remote where that branch does not exist, which only `git clone` asks
    /// for. Nothing of the remote is fetched.
    pub(crate) async fn unborn_branch(
        &self,
        git: &Git,
        url: &str,
        deadline: Instant,
    ) -> Option<String> {
        let scratch = self.parent().join(SCRATCH);
        let removal = || {
            let scratch = scratch.clone();
            files::blocking(move || files::remove_any(&scratch))
        };
        removal().await.ok()?;
        let to = scratch.display().to_string();
        let cloned = git
            .command("clone")
            .current_dir(self.parent())
            .arg("--quiet")
            .arg("--bare")
            .arg("--single-branch")
            .arg("--no-tags")
            .arg("--depth=1")
            .user_args([url, to.as_str()])
            .run(deadline)
            .await;
        let head = fs::read_to_string(scratch.join("HEAD")).unwrap_or_default();
        // What is left of it goes with the next preparation.
        let _ = removal().await;
        cloned.ok()?;
        let branch = head.trim().strip_prefix("ref: refs/heads/")?;
        Some(branch.to_owned())
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

    /// An error about its files.
    pub(crate) fn io(&self, source: io::Error) -> MirrorError {
        MirrorError::Io {
            path: self.git_dir.clone(),
            source,
        }
    }
}

/// The branch that `HEAD` names.
pub(crate) fn own_branch() -> String {
    format!("refs/heads/{BRANCH}")
}
