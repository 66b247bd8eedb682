//! git's own repository on our disk: what was fetched, for as long as a tree needs it.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

use tokio::time::Instant;

use crate::files;
use crate::git::Git;
use crate::git::GitError;
use crate::git::Hash;

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
}

impl Mirror {
    /// Names the repository; `prepare` makes it.
    pub(crate) fn new(git_dir: PathBuf) -> Self {
        Self { git_dir }
    }

    /// Where git's files are.
    pub(crate) fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// Tells whether history was cut by a depth.
    pub(crate) fn is_shallow(&self) -> bool {
        self.git_dir.join("shallow").exists()
    }

    /// Makes the repository, or checks the one that is there. What is not healthy, or not ours, is
    /// set aside under a name of ours and never deleted: it may be someone's work. Tells whether
    /// the repository is new.
    pub(crate) async fn prepare(&self, git: &Git, deadline: Instant) -> Result<bool, MirrorError> {
        files::remove_any(&self.parent().join(SCRATCH)).map_err(|source| self.io(source))?;
        if fs::symlink_metadata(&self.git_dir).is_ok() {
            self.clear_leftovers().map_err(|source| self.io(source))?;
            match self.trouble(git, deadline).await? {
                None => return Ok(false),
                Some(trouble) => {
                    let aside = self.set_aside().map_err(|source| self.io(source))?;
                    tracing::info!(
                        repository = %self.git_dir.display(),
                        aside = %aside.display(),
                        reason = %trouble,
                        "setting the local repository aside and making a new one"
                    );
                }
            }
        }
        self.make(git, deadline).await?;
        Ok(true)
    }

    /// Makes the repository beside its place and renames it: half of one, left by a kill, would be
    /// taken for a stranger's.
    async fn make(&self, git: &Git, deadline: Instant) -> Result<(), MirrorError> {
        let scratch = self.parent().join(SCRATCH);
        let made = scratch.join(self.git_dir.file_name().unwrap_or_default());
        fs::create_dir_all(&made).map_err(|source| self.io(source))?;
        git.command("init")
            .git_dir(&made)
            // Beside a directory called `.git` it is the repository of that place, as git-sync's;
            // from within it would be bare.
            .current_dir(&scratch)
            .arg("--quiet")
            .arg(format!("--initial-branch={BRANCH}"))
            .run(deadline)
            .await?;
        fs::rename(&made, &self.git_dir)
            .and_then(|()| files::remove_any(&scratch))
            .map_err(|source| self.io(source))
    }

    /// Says what is wrong with the repository that is there. A check that runs out of time is an
    /// error and no verdict.
    async fn trouble(&self, git: &Git, deadline: Instant) -> Result<Option<String>, MirrorError> {
        let head = files::absent_is_none(fs::read_to_string(self.git_dir.join("HEAD")));
        match head {
            Ok(Some(head)) if head.trim() == format!("ref: refs/heads/{BRANCH}") => {}
            Ok(_) => return Ok(Some("it was not made by a syncer".to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Ok(Some("it is a file".to_owned()));
            }
            Err(source) => return Err(self.io(source)),
        }
        let checked = git
            .command("fsck")
            .git_dir(&self.git_dir)
            .arg("--no-progress")
            .arg("--connectivity-only")
            .run(deadline)
            .await;
        match checked {
            Ok(_) => Ok(None),
            Err(error @ GitError::Failed { .. }) => Ok(Some(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes what killed git commands left: locks, which would stop the next one, and half
    /// received packs, which would fill the volume clone by clone. Only we write here, and no
    /// command of ours is running.
    fn clear_leftovers(&self) -> io::Result<()> {
        let refs = self.git_dir.join("refs");
        let objects = self.git_dir.join("objects");
        let admin = self.git_dir.join("worktrees");
        let mut dirs = vec![self.git_dir.clone(), refs.clone(), objects.clone()];
        for name in files::names_in(&admin)? {
            dirs.push(admin.join(name));
        }
        while let Some(dir) = dirs.pop() {
            let in_objects = dir.starts_with(&objects);
            for name in files::names_in(&dir)? {
                let path = dir.join(&name);
                let name = name.as_encoded_bytes();
                let is_part = [&b"tmp_"[..], b"incoming-"]
                    .iter()
                    .any(|prefix| in_objects && name.starts_with(prefix));
                let is_ours =
                    dir.starts_with(&admin) && name.starts_with(files::TEMPORARY.as_bytes());
                if is_part || is_ours || name.ends_with(b".lock") {
                    tracing::info!(path = %path.display(), "removing what a killed git command left");
                    files::remove_any(&path)?;
                } else if (in_objects || dir.starts_with(&refs)) && path.is_dir() {
                    dirs.push(path);
                }
            }
        }
        Ok(())
    }

    fn set_aside(&self) -> io::Result<PathBuf> {
        let parent = self.parent();
        // A fresh directory gives a name that nobody has.
        let aside = tempfile::Builder::new()
            .prefix(".gitvolume-aside-")
            .tempdir_in(parent)?
            .keep();
        let aside = aside.join(self.git_dir.file_name().unwrap_or_default());
        fs::rename(&self.git_dir, &aside)?;
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

    /// Throws away what no kept commit needs.
    pub(crate) async fn collect_garbage(
        &self,
        git: &Git,
        deadline: Instant,
    ) -> Result<(), GitError> {
        git.command("reflog")
            .git_dir(&self.git_dir)
            .arg("expire")
            .arg("--expire-unreachable=all")
            .arg("--all")
            .run(deadline)
            .await?;
        git.command("gc")
            .git_dir(&self.git_dir)
            .arg("--quiet")
            .run(deadline)
            .await
            .map(drop)
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
