//! The files that are to replace those of the tree, in a directory beside it.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use args::Subdir;
use args::Submodules;

use crate::git::ChangeKind;
use crate::git::Hash;
use crate::git::Repository;
use crate::git::work_tree::ATTRIBUTES;
use crate::repo::publish::error::PublishError;
use crate::repo::publish::files::known::Known;
use crate::repo::publish::subdir;
use crate::system::files;
use crate::tree::Tree;
use crate::tree::TreeError;
use crate::tree::checkout::blaming_the_disk;
use crate::tree::links;
use crate::tree::manifest::Entry;
use crate::tree::manifest::FileStamp;
use crate::tree::manifest::Manifest;
use crate::tree::selection::Checkout;
use crate::tree::submodules;

/// The staged files, at the paths that they will have in the tree.
pub(super) const STAGING: &str = "staging";

/// The manifest of the tree after the change.
pub(super) const NEXT: &str = "next";

/// git's index of the new revision.
pub(super) const NEXT_INDEX: &str = "next.index";

/// git's working tree while the files are written: with a subdirectory, the staged files are below
/// it.
const CHECKOUT: &str = "checkout";

/// The stage of a change: the paths of its files, and what is published.
#[derive(Clone)]
pub(super) struct Stage {
    /// The syncer's own directory.
    pub(super) own: PathBuf,
    pub(super) tree: PathBuf,
    /// The manifest of the tree.
    pub(super) manifest: PathBuf,
    /// The subdirectory that is published; `None` publishes the whole tree.
    pub(super) subdir: Option<Subdir>,
}

/// The part of a new tree that is not staged.
#[derive(Debug, Default)]
struct Unstaged {
    /// What the content of git's files depends on besides the commit.
    settings: u64,
    /// The entries that stay as they are.
    entries: Vec<Entry>,
}

/// The paths of a new revision that are staged, and those that stay.
#[derive(Debug, Default)]
struct Changed {
    written: Vec<PathBuf>,
    unchanged: Vec<Entry>,
}

impl Stage {
    fn checkout(&self) -> PathBuf {
        self.own.join(CHECKOUT)
    }

    /// The staged files while git writes them.
    fn shown(&self) -> PathBuf {
        match &self.subdir {
            Some(subdir) => self.checkout().join(subdir.as_path()),
            None => self.checkout(),
        }
    }

    fn staging(&self) -> PathBuf {
        self.own.join(STAGING)
    }

    fn index(&self) -> PathBuf {
        self.own.join(NEXT_INDEX)
    }

    /// Stages the files of a commit that the tree does not have yet, and writes the manifest of the
    /// tree with them. `current` is the published tree.
    pub(super) async fn fill(
        &self,
        git: Repository<'_>,
        commit: &Hash,
        checkout: &Checkout,
        current: Option<&Tree>,
    ) -> Result<(), PublishError> {
        let (begun, git_dir) = (self.clone(), git.git_dir.to_owned());
        let had_modules = self.blocking(move || begun.begin(&git_dir));
        let had_modules = had_modules.await?;
        let unstaged = match current.filter(|_| !had_modules) {
            Some(current) => self.write_changed(git, commit, checkout, current).await?,
            None => None,
        };
        let unstaged = match unstaged {
            Some(unstaged) => unstaged,
            None => self.write_all(git, commit, checkout).await?,
        };
        let (settled, commit) = (self.clone(), commit.clone());
        let foreign = self.blocking(move || settled.settle(unstaged, &commit));
        match foreign.await? {
            None => Ok(()),
            Some(path) => Err(PublishError::in_the_way(path)),
        }
    }

    /// Removes the files of an earlier attempt; returns whether the published tree has submodules.
    fn begin(&self, git_dir: &Path) -> io::Result<bool> {
        let next = self.own.join(NEXT);
        for path in [self.checkout(), self.staging(), next, self.index()] {
            files::remove_any(&path)?;
        }
        files::make_dir(&self.checkout())?;
        Ok(submodules::modules_of(git_dir).is_dir())
    }

    /// Writes all files of a commit.
    async fn write_all(
        &self,
        git: Repository<'_>,
        commit: &Hash,
        checkout: &Checkout,
    ) -> Result<Unstaged, PublishError> {
        let (dir, index) = (self.checkout(), self.index());
        checkout
            .fill(git.work_tree(&dir, &index), commit, None)
            .await?;
        if submodules::modules_of(git.git_dir).is_dir() {
            let (from, to) = (dir.clone(), self.tree.clone());
            let git_dir = git.git_dir.to_owned();
            let hidden = self.blocking(move || {
                submodules::hide(&from)?;
                submodules::follow_move(&git_dir, &from, &to)
            });
            hidden.await?;
        }
        subdir::check(&dir, self.subdir.as_ref())?;
        let git_dir = git.git_dir.to_owned();
        let settings = self.blocking(move || links::settings_of(&git_dir));
        Ok(Unstaged {
            settings: settings.await?,
            entries: Vec::new(),
        })
    }

    /// Writes the files that differ between the published commit and this one, and those that a
    /// consumer has changed. `None` if all files must be written: nothing was then.
    async fn write_changed(
        &self,
        git: Repository<'_>,
        commit: &Hash,
        checkout: &Checkout,
        current: &Tree,
    ) -> Result<Option<Unstaged>, PublishError> {
        if checkout.selection.lfs {
            // The content of LFS pointers is not git's.
            return Ok(None);
        }
        let git_dir = git.git_dir.to_owned();
        let settings = self.blocking(move || links::settings_of(&git_dir)).await?;
        let Some(manifest) = checkout.lendable(current, commit, settings).await? else {
            return Ok(None);
        };
        // A repository that was made again has only the new commit.
        let Ok(changes) = git.diff_tree(&current.commit, commit).await else {
            return Ok(None);
        };
        let has_submodules = checkout.selection.submodules != Submodules::Off;
        let mut differing = HashSet::new();
        let mut written = Vec::new();
        for change in changes {
            let name = change.path.file_name();
            // Attributes may change the content of files that have not changed themselves.
            let is_wide = name == Some(OsStr::new(ATTRIBUTES))
                || has_submodules && change.path == Path::new(submodules::LIST);
            match (is_wide, checkout.selection.includes(&change.path)) {
                (true, _) | (_, None) => return Ok(None),
                (false, Some(false)) => continue,
                (false, Some(true)) => {}
            }
            let Some(path) = self.below_subdir(&change.path) else {
                // A directory on the way to the published one has become something else.
                return Ok(None);
            };
            if change.kind != ChangeKind::Deleted {
                written.push(path.clone());
            }
            differing.insert(path);
        }
        let tree = self.tree.clone();
        let compared = self.blocking(move || {
            let mut tree = PublishedFiles::new(&tree);
            let mut changed = Changed {
                written,
                unchanged: Vec::new(),
            };
            for entry in manifest.entries() {
                if differing.contains(&entry.path) {
                    continue;
                }
                let found = tree.stamp_of(&entry.path)?;
                match found.is_some_and(|found| found.is_same(&entry.stamp)) {
                    true => changed.unchanged.push(entry.clone()),
                    false => changed.written.push(entry.path.clone()),
                }
            }
            Ok(changed)
        });
        let Changed { written, unchanged } = compared.await?;
        if self.subdir.is_some() && written.is_empty() && unchanged.is_empty() {
            return Ok(None);
        }
        let (dir, index) = (self.checkout(), self.index());
        let files = git.work_tree(&dir, &index);
        let blamed = |error| TreeError::from(blaming_the_disk(error, &dir));
        files.read_tree(commit).await.map_err(blamed)?;
        if !written.is_empty() {
            let whole = written.iter().map(|path| match &self.subdir {
                Some(subdir) => subdir.as_path().join(path),
                None => path.clone(),
            });
            let whole: Vec<PathBuf> = whole.collect();
            let written = files.checkout_index_paths(&whole).await;
            written.map_err(blamed)?;
        }
        Ok(Some(Unstaged {
            settings,
            entries: unchanged,
        }))
    }

    /// The path of a file in the published directory; `None` if it is not below that.
    fn below_subdir(&self, path: &Path) -> Option<PathBuf> {
        let below = match &self.subdir {
            Some(subdir) => path.strip_prefix(subdir.as_path()).ok()?,
            None => path,
        };
        (below != Path::new("")).then(|| below.to_owned())
    }

    /// Moves the written files to their directory, without those that the tree has already, and
    /// writes the manifest of the new tree. Returns the path of an entry of the tree that is in the
    /// way.
    fn settle(&self, unstaged: Unstaged, commit: &Hash) -> io::Result<Option<PathBuf>> {
        let Unstaged {
            settings,
            mut entries,
        } = unstaged;
        let staging = self.staging();
        files::make_dir(&self.shown())?;
        files::rename(&self.shown(), &staging)?;
        files::remove_any(&self.checkout())?;
        let staged = Manifest::of_tree(settings, &staging)?;
        let known = Known::read(&self.manifest);
        let mut tree = PublishedFiles::new(&self.tree);
        for entry in staged.entries() {
            let new = staging.join(&entry.path);
            if let Some(stamp) = tree.same_as(entry, &new)? {
                if !stamp.is_dir() {
                    files::remove_any(&new)?;
                }
                entries.push(Entry {
                    path: entry.path.clone(),
                    stamp,
                });
                continue;
            }
            if let Some(path) = known.in_the_way(&self.tree, &entry.path, entry.stamp.is_dir())? {
                return Ok(Some(path));
            }
            entries.push(entry.clone());
        }
        Manifest::new(settings, entries).write(&self.own.join(NEXT), commit)?;
        Ok(None)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, PublishError> {
        let done = files::blocking(work).await;
        done.map_err(|source| PublishError::Io {
            path: self.tree.clone(),
            source,
        })
    }
}

/// The files of the tree, read without following a symlink in the place of a directory.
struct PublishedFiles<'a> {
    dir: &'a Path,
    /// The directory of the last path, and whether it is below directories alone.
    last: Option<(PathBuf, bool)>,
}

impl<'a> PublishedFiles<'a> {
    fn new(dir: &'a Path) -> Self {
        Self { dir, last: None }
    }

    /// The metadata of an entry; `None` if it does not exist.
    fn stamp_of(&mut self, path: &Path) -> io::Result<Option<FileStamp>> {
        let parent = path.parent().unwrap_or(Path::new(""));
        let is_real = match &self.last {
            Some((last, is_real)) if last == parent => *is_real,
            _ => self.has_dir(parent)?,
        };
        self.last = Some((parent.to_owned(), is_real));
        match is_real {
            true => FileStamp::read(&self.dir.join(path)),
            false => Ok(None),
        }
    }

    fn has_dir(&self, path: &Path) -> io::Result<bool> {
        let mut dir = self.dir.to_owned();
        for name in path.iter() {
            dir.push(name);
            if !FileStamp::read(&dir)?.is_some_and(|stamp| stamp.is_dir()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The metadata of an entry if it has the kind, the mode and the content of a staged one.
    fn same_as(&mut self, staged: &Entry, path: &Path) -> io::Result<Option<FileStamp>> {
        let Some(stamp) = self.stamp_of(&staged.path)? else {
            return Ok(None);
        };
        let is_same = stamp.is_dir() && staged.stamp.is_dir()
            || stamp.has_mode_of(&staged.stamp)
                && files::are_same(&self.dir.join(&staged.path), path)?;
        Ok(is_same.then_some(stamp))
    }
}
