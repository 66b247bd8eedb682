//! The mirror: git's local repository, with the fetched commits for as long as a tree needs them.

mod check;
pub(crate) mod error;
pub(crate) mod level;

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use args::GarbageCollection;
use args::Revision;

use crate::git::GitError;
use crate::git::GitSession;
use crate::git::Hash;
use crate::git::ObjectFormat;
use crate::repo::leftovers;
use crate::repo::mirror::error::MirrorError;
use crate::system::files;

pub(crate) use crate::repo::mirror::level::Check;
pub(crate) use crate::repo::mirror::level::half_of;

/// The branch that `HEAD` names, as in git-sync, so that each program adopts the other's root.
const BRANCH: &str = "git-sync";

/// The directory of a repository that is being created.
const SCRATCH: &str = ".gitvolume-new";

/// When garbage is collected with `--git-gc=always`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CollectWhen {
    /// If there is enough of it.
    Pays,
    /// In any case: it may be what fills the volume.
    Now,
}

/// The local repository that a remote is fetched into.
pub(crate) struct Mirror {
    git_dir: PathBuf,
    /// The object format of a new repository.
    format: ObjectFormat,
    /// The object format of a full hash that is followed. In a repository of the other format git
    /// takes such a ref for the name of a branch, and does not find it.
    pinned: Option<ObjectFormat>,
}

impl Mirror {
    /// Describes the repository for a ref; `prepare` creates it.
    pub(crate) fn new(git_dir: PathBuf, rev: &Revision) -> Self {
        let hash: Option<Hash> = rev.as_str().parse().ok();
        let pinned = hash.as_ref().map(Hash::format);
        Self {
            git_dir,
            format: pinned.unwrap_or(ObjectFormat::Sha1),
            pinned,
        }
    }

    /// The directory of git's files.
    pub(crate) fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// Whether the repository still exists, checked with one `stat` call.
    pub(crate) fn is_there(&self) -> bool {
        self.git_dir.join("HEAD").is_file()
    }

    /// Uses the object format of the remote for the next new repository. git refuses to fetch from
    /// a remote of another format, and names that format only if the server supports protocol
    /// version 2; there are two.
    pub(crate) fn follow_format(&mut self, refusal: Option<&GitError>) {
        let formats = [ObjectFormat::Sha1, ObjectFormat::Sha256];
        let named = match refusal {
            Some(GitError::Failed { detail, .. }) => {
                let is_named = |format: &ObjectFormat| detail.contains(&format!("server {format}"));
                formats.into_iter().find(is_named)
            }
            _ => None,
        };
        let theirs = named.unwrap_or_else(|| self.format_on_disk().other());
        self.format = self.pinned.unwrap_or(theirs);
    }

    /// The object format of the existing repository.
    fn format_on_disk(&self) -> ObjectFormat {
        let config = fs::read_to_string(self.git_dir.join("config")).unwrap_or_default();
        let config = config.to_ascii_lowercase();
        match config.contains("objectformat = sha256") {
            true => ObjectFormat::Sha256,
            false => ObjectFormat::Sha1,
        }
    }

    /// Whether the repository's object format differs from that of the ref.
    fn has_other_format(&self) -> bool {
        let is_other = |pinned| pinned != self.format_on_disk();
        self.pinned.is_some_and(is_other)
    }

    /// Renames a repository that was not created by a syncer: it may be the user's work. With
    /// `is_syncers` it counts as a syncer's, whatever it looks like.
    pub(crate) fn claim(&self, is_syncers: bool) -> Result<(), MirrorError> {
        let Some(reason) = self.foreign(is_syncers).map_err(|source| self.io(source))? else {
            return Ok(());
        };
        let aside = self.set_aside().map_err(|source| self.io(source))?;
        tracing::info!(
            repository = %self.git_dir.display(),
            aside = %aside.display(),
            reason,
            "moving aside a repository that the syncer did not create"
        );
        Ok(())
    }

    /// Creates the repository, or checks the existing one: a broken one is recreated, since
    /// everything can be fetched again. Returns whether the repository is new.
    pub(crate) async fn prepare(
        &self,
        git: GitSession<'_>,
        check: Check,
    ) -> Result<bool, MirrorError> {
        let scratch = self.parent().join(SCRATCH);
        files::remove_blocking(&scratch)
            .await
            .map_err(|source| self.io(source))?;
        if fs::symlink_metadata(&self.git_dir).is_ok() {
            let git_dir = self.git_dir.clone();
            files::blocking(move || leftovers::clear(&git_dir))
                .await
                .map_err(|source| self.io(source))?;
            let Some(reason) = self.trouble(git, check).await? else {
                return Ok(false);
            };
            tracing::info!(
                repository = %self.git_dir.display(),
                reason,
                "the local repository cannot be used, creating a new one"
            );
            files::remove_blocking(&self.git_dir)
                .await
                .map_err(|source| self.io(source))?;
        }
        self.make(git).await?;
        Ok(true)
    }

    /// Creates the repository in a scratch directory and renames it: a killed process could leave a
    /// partial one, which would not be recognised as a syncer's.
    async fn make(&self, git: GitSession<'_>) -> Result<(), MirrorError> {
        let scratch = self.parent().join(SCRATCH);
        let made = scratch.join(self.git_dir.file_name().unwrap_or_default());
        files::make_dir(&made).map_err(|source| self.io(source))?;
        git.at(&made).init(BRANCH, self.format).await?;
        let git_dir = self.git_dir.clone();
        files::blocking(move || {
            files::rename(&made, &git_dir)?;
            files::remove_any(&scratch)
        })
        .await
        .map_err(|source| self.io(source))
    }

    /// The reason why the existing repository is not a syncer's; `None` if it is.
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
        Ok((!is_ours).then_some("it was not created by the syncer"))
    }

    /// Whether `HEAD` names the syncer's branch.
    pub(crate) fn has_own_head(&self) -> io::Result<bool> {
        let head = files::absent_is_none(fs::read_to_string(self.git_dir.join("HEAD")))?;
        let head = head.unwrap_or_default();
        Ok(head.trim() == format!("ref: {}", own_branch()))
    }

    fn set_aside(&self) -> io::Result<PathBuf> {
        let parent = self.parent();
        // A fresh directory guarantees an unused name.
        let aside = tempfile::Builder::new()
            .prefix(".gitvolume-aside-")
            .tempdir_in(parent)?
            .keep();
        let aside = aside.join(self.git_dir.file_name().unwrap_or_default());
        files::rename(&self.git_dir, &aside)?;
        Ok(aside)
    }

    /// The default branch of a remote if that branch does not exist, which only `git clone`
    /// reports. Nothing of the remote is fetched.
    pub(crate) async fn unborn_branch(&self, git: GitSession<'_>, url: &str) -> Option<String> {
        let scratch = self.parent().join(SCRATCH);
        files::remove_blocking(&scratch).await.ok()?;
        let cloned = git.clone_tip(url, &scratch).await;
        let head = fs::read_to_string(scratch.join("HEAD")).unwrap_or_default();
        // The next preparation removes the rest.
        let _ = files::remove_blocking(&scratch).await;
        cloned.ok()?;
        let branch = head.trim().strip_prefix("ref: refs/heads/")?;
        Some(branch.to_owned())
    }

    /// Sets git's remote `origin`, as git-sync does: consumers see it, and relative addresses of
    /// submodules are resolved against it.
    pub(crate) async fn name_origin(&self, git: GitSession<'_>, url: &str) -> Result<(), GitError> {
        let fetch = "+refs/heads/*:refs/remotes/origin/*";
        // The section in git's own form; if git would quote the address, it is set again, without
        // harm.
        let section = format!("[remote \"origin\"]\n\turl = {url}\n\tfetch = {fetch}\n");
        let config = fs::read_to_string(self.git_dir.join("config")).unwrap_or_default();
        if config.contains(&section) {
            return Ok(());
        }
        let repository = git.at(&self.git_dir);
        repository.config_set("remote.origin.url", url).await?;
        repository.config_set("remote.origin.fetch", fetch).await
    }

    /// The ref of the last commit, as a pattern for `git fetch --negotiation-tip`: a ref without its
    /// commit is an error, a pattern without refs is none. `None` before the first commit.
    pub(crate) fn tip(&self) -> Option<String> {
        let branch = own_branch();
        let (last, head) = (branch.chars().last()?, &branch[..branch.len() - 1]);
        let exists = self.git_dir.join(&branch).is_file();
        exists.then(|| format!("{head}[{last}]"))
    }

    /// Removes the commits that no ref names from the list of those without parents
    /// (gitrepository-layout, `shallow`), which git sends with each fetch. For a repository with a
    /// depth of one that no other program writes to: then no other commit needs the list.
    pub(crate) async fn prune_shallow(&self, git: GitSession<'_>) -> Result<(), MirrorError> {
        let path = self.git_dir.join("shallow");
        let listed = files::absent_is_none(fs::read_to_string(&path));
        let listed = listed
            .map_err(|source| self.io(source))?
            .unwrap_or_default();
        if listed.lines().count() < 2 {
            return Ok(());
        }
        let named = git.at(&self.git_dir).for_each_ref_object().await?;
        let is_named = |line: &&str| named.iter().any(|object| object == line.trim_end());
        let kept: String = listed.split_inclusive('\n').filter(is_named).collect();
        if kept == listed {
            return Ok(());
        }
        let written = files::write_atomic(&path, kept.as_bytes(), files::PLAIN_MODE);
        written.map_err(|source| self.io(source))
    }

    /// Removes the objects that no kept commit needs, by the user's setting.
    pub(crate) async fn collect_garbage(
        &self,
        git: GitSession<'_>,
        how: GarbageCollection,
        when: CollectWhen,
    ) -> Result<(), GitError> {
        let repository = git.at(&self.git_dir);
        if how != GarbageCollection::Off && self.git_dir.join("logs").is_dir() {
            // git-sync's reflogs, or those of a user who enabled them.
            repository.reflog_expire().await?;
        }
        match how {
            GarbageCollection::Off => Ok(()),
            GarbageCollection::Auto => repository.gc_auto().await,
            GarbageCollection::Aggressive => repository.gc_aggressive().await,
            // The part of `git gc` that frees disk space, without its six other processes, and not
            // for each commit: a repack writes all objects anew.
            GarbageCollection::Always => {
                let inventory = repository.inventory().await;
                // An unreadable directory is git's to report.
                let is_small = inventory.is_ok_and(|inventory| !inventory.is_large());
                if when == CollectWhen::Pays && is_small {
                    return Ok(());
                }
                repository.compact().await
            }
        }
    }

    fn parent(&self) -> &Path {
        self.git_dir.parent().unwrap_or(Path::new("/"))
    }

    /// A file system error of the mirror.
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
