//! git-sync's layout: `root/.git`, `root/.worktrees/<commit>`, and a link to the latter whose last
//! component is the commit. Each tree has a `.git` that works for whoever mounts the root.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use args::Submodules;
use rustix::fs::CWD;
use rustix::fs::RenameFlags;
use rustix::fs::renameat_with;
use rustix::io::Errno;
use tokio::time::Instant;

use crate::checkout::Checkout;
use crate::checkout::Place;
use crate::checkout::Selection;
use crate::crash;
use crate::files;
use crate::git::Git;
use crate::git::Hash;
use crate::mirror::Mirror;
use crate::publish::PublishError;
use crate::submodules;
use crate::tree::Tree;

/// Directory of the trees, below the root.
const WORKTREES: &str = ".worktrees";

/// Prefix of a tree that is being made.
const SCRATCH: &str = ".new-";

/// Suffix of a tree that another one takes the place of.
const OLD: &str = "-old";

/// The marker of a tree, in its admin directory.
const MARKER: &str = "gitvolume-whole";

/// A link that git-sync was about to rename.
const GIT_SYNCS_LINK: &[u8] = b"tmp-link";

/// Prefix of a link that is about to be renamed.
const TEMPORARY_LINK: &str = ".gitvolume-link-";

/// The configuration of a tree that patterns leave files out of.
const SPARSE_CONFIG: &str = "[core]\n\tsparseCheckout = true\n\tsparseCheckoutCone = false\n";

/// git-sync's layout below one root.
pub(crate) struct LinkLayout {
    root: PathBuf,
    link: PathBuf,
}

impl LinkLayout {
    pub(super) fn new(root: PathBuf, link: PathBuf) -> Self {
        Self { root, link }
    }

    pub(super) fn git_dir(&self) -> PathBuf {
        self.root.join(".git")
    }

    pub(super) fn worktrees(&self) -> PathBuf {
        self.root.join(WORKTREES)
    }

    fn link_dir(&self) -> &Path {
        self.link.parent().unwrap_or(Path::new("/"))
    }

    pub(super) fn tree(&self, commit: &Hash) -> Tree {
        let git_dir = self.git_dir().join("worktrees").join(commit.as_str());
        let dir = self.worktrees().join(commit.as_str());
        Tree {
            commit: commit.clone(),
            shown: dir.clone(),
            dir,
            index: git_dir.join("index"),
            marker: git_dir.join(MARKER),
            git_dir,
        }
    }

    pub(super) fn clean(&self) -> io::Result<()> {
        for name in files::names_in(&self.worktrees())? {
            if name.as_encoded_bytes().starts_with(SCRATCH.as_bytes()) {
                files::remove_any(&self.worktrees().join(name))?;
            }
        }
        let target = |path: &Path| fs::read_link(path).map(|target| self.resolved(&target));
        for name in files::names_in(self.link_dir())? {
            let bytes = name.as_encoded_bytes();
            if !bytes.starts_with(TEMPORARY_LINK.as_bytes()) && bytes != GIT_SYNCS_LINK {
                continue;
            }
            // Another syncer may publish into the same directory: only a link into our root is ours.
            let path = self.link_dir().join(&name);
            if target(&path).is_ok_and(|target| target.starts_with(&self.root)) {
                files::remove_any(&path)?;
            }
        }
        // What git knows of trees that are not there would keep their commits for ever.
        let published = target(&self.link).unwrap_or_default();
        let admin = self.git_dir().join("worktrees");
        if !admin.is_dir() {
            return Ok(());
        }
        for name in files::names_in(&admin)? {
            let dirs = [&self.worktrees(), &self.root].map(|dir| dir.join(&name));
            let is_wanted = |dir: &PathBuf| *dir == published || dir.exists();
            if commit_in(&name).is_some() && !dirs.iter().any(is_wanted) {
                files::remove_any(&admin.join(&name))?;
            }
        }
        Ok(())
    }

    /// Tells whether the link leads to a tree of git-sync v3.
    pub(super) fn has_predecessor(&self) -> bool {
        let target = fs::read_link(&self.link).map(|target| self.resolved(&target));
        target.is_ok_and(|target| self.is_predecessors(&target))
    }

    /// Tells whether a directory is a tree of git-sync v3: a worktree of our repository in the root
    /// itself, called by its commit, which until v3.2 had a prefix.
    fn is_predecessors(&self, dir: &Path) -> bool {
        dir.parent() == Some(&self.root)
            && dir.file_name().and_then(commit_in).is_some()
            && fs::read_to_string(dir.join(".git")).is_ok_and(|gitlink| {
                gitlink.starts_with("gitdir: ") && gitlink.contains("/.git/worktrees/")
            })
    }

    pub(super) fn current(&self) -> Result<Option<Tree>, PublishError> {
        let target = match files::read_link(&self.link) {
            Ok(None) => return Ok(None),
            Ok(Some(target)) => self.resolved(&target),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                return Err(PublishError::Foreign {
                    path: self.link.clone(),
                    why: "it is not a symlink of the syncer's",
                });
            }
            Err(source) => return Err(self.io(source)),
        };
        if target.parent() != Some(&self.worktrees()) {
            return Ok(None);
        }
        let name = target.file_name().and_then(|name| name.to_str());
        let commit = name.and_then(|name| name.parse::<Hash>().ok());
        Ok(commit.map(|commit| self.tree(&commit)))
    }

    pub(super) async fn build(
        &self,
        git: &Git,
        mirror: &Mirror,
        commit: &Hash,
        checkout: &Checkout,
        deadline: Instant,
    ) -> Result<Tree, PublishError> {
        let tree = self.tree(commit);
        // `HEAD` names what was last synced, and keeps it from gc until the tree does.
        mirror.keep(git, "HEAD", commit, deadline).await?;
        let is_sparse = checkout.selection.sparse.is_some();
        if is_sparse {
            mirror.allow_worktree_config(git, deadline).await?;
        }
        let (begun, worktrees) = (tree.clone(), self.worktrees());
        let scratch = files::blocking(move || begin(&worktrees, &begun, is_sparse))
            .await
            .map_err(|source| self.io(source))?;
        let index = tree.git_dir.join("gitvolume-index");
        files::remove_any(&index).map_err(|source| self.io(source))?;
        let place = Place {
            git_dir: &tree.git_dir,
            dir: &scratch,
            index: &index,
        };
        checkout.fill(git, commit, place, deadline).await?;
        let (placed, root) = (tree.clone(), self.root.clone());
        let selection = checkout.selection.clone();
        files::blocking(move || put_in_place(&placed, &scratch, &index, &selection))
            .await
            .map_err(|source| PublishError::Io { path: root, source })?;
        tree.mark(&checkout.selection)?;
        Ok(tree)
    }

    pub(super) fn publish(&self, tree: &Tree) -> Result<(), PublishError> {
        let (link, target) = self.link_to(tree);
        let publish = || -> io::Result<()> {
            if files::read_link(&link)?.as_ref() == Some(&target) {
                return Ok(());
            }
            files::make_dir(self.link_dir())?;
            files::replace_link(TEMPORARY_LINK, &target, &link)
        };
        publish().map_err(|source| self.io(source))
    }

    /// Tells whether readers are led to this tree.
    pub(super) fn is_shown(&self, tree: &Tree) -> bool {
        let (link, target) = self.link_to(tree);
        fs::read_link(link).is_ok_and(|found| found == target)
    }

    /// Tells whether git finds the tree's repository, and the tree's commit in it.
    pub(super) fn is_linked(&self, tree: &Tree) -> bool {
        let reads = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
        reads(tree.dir.join(".git")) == gitlink(tree)
            && reads(tree.git_dir.join("HEAD")).trim() == tree.commit.as_str()
    }

    /// The link and what it holds: a relative path, so that the root may be mounted anywhere.
    pub(super) fn link_to(&self, tree: &Tree) -> (PathBuf, PathBuf) {
        (self.link.clone(), relative(self.link_dir(), &tree.dir))
    }

    pub(super) fn others(&self, current: &Tree) -> io::Result<Vec<PathBuf>> {
        let paths_in = |dir: &Path| -> io::Result<Vec<PathBuf>> {
            let names = files::names_in(dir)?.into_iter();
            Ok(names.map(|name| dir.join(name)).collect())
        };
        let mut others = paths_in(&self.worktrees())?;
        others.retain(|path| *path != current.dir);
        let predecessors = paths_in(&self.root)?.into_iter();
        others.extend(predecessors.filter(|path| self.is_predecessors(path)));
        Ok(others)
    }

    pub(super) fn remove(&self, dir: &Path) -> io::Result<()> {
        let Some(name) = dir.file_name().filter(|name| commit_in(name).is_some()) else {
            return files::remove_any(dir);
        };
        let admin = self.git_dir().join("worktrees").join(name);
        if dir.parent() == Some(&self.root) && self.worktrees().join(name).exists() {
            // git-sync v3's tree of a commit that we have a tree of, too: they share it.
            return files::remove_any(dir);
        }
        files::remove_any(&admin.join(MARKER))?;
        files::remove_any(dir)?;
        files::remove_any(&admin)
    }

    fn resolved(&self, target: &Path) -> PathBuf {
        without_dots(&self.link_dir().join(target))
    }

    fn io(&self, source: io::Error) -> PublishError {
        PublishError::Io {
            path: self.link.clone(),
            source,
        }
    }
}

/// The content of a tree's `.git`: relative, so that the root may be mounted anywhere.
fn gitlink(tree: &Tree) -> String {
    format!("gitdir: ../../.git/worktrees/{}\n", tree.commit)
}

/// Makes what git calls an admin directory (gitrepository-layout, `worktrees/`) by hand: `git
/// worktree add` chooses its name itself, and would show the tree before it is whole.
fn begin(worktrees: &Path, tree: &Tree, is_sparse: bool) -> io::Result<PathBuf> {
    files::make_dir(&tree.git_dir)?;
    for (name, content) in [
        ("HEAD", format!("{}\n", tree.commit)),
        ("commondir", "../..\n".to_owned()),
        ("gitdir", format!("{}/.git\n", tree.dir.display())),
    ] {
        files::write_atomic(
            &tree.git_dir.join(name),
            content.as_bytes(),
            files::PLAIN_MODE,
        )?;
    }
    // Consumers' git must know why files are missing.
    let own_config = tree.git_dir.join("config.worktree");
    match is_sparse {
        true => {
            files::write_atomic(&own_config, SPARSE_CONFIG.as_bytes(), files::PLAIN_MODE)?;
        }
        false => files::remove_any(&own_config)?,
    }
    let scratch = worktrees.join(format!("{SCRATCH}{}", tree.commit));
    files::remove_any(&scratch)?;
    files::make_dir(&scratch)?;
    Ok(scratch)
}

/// Puts a finished tree where it belongs; readers of an old one there keep it or get the new one.
/// Until now the old one was whole, and marked.
fn put_in_place(
    tree: &Tree,
    scratch: &Path,
    index: &Path,
    selection: &Selection,
) -> io::Result<()> {
    crash::step();
    fs::write(scratch.join(".git"), gitlink(tree))?;
    files::remove_any(&tree.marker)?;
    files::rename(index, &tree.index)?;
    let modules = submodules::modules_of(&tree.git_dir);
    if selection.submodules == Submodules::Off {
        files::remove_any(&modules)?;
    }
    submodules::follow_move(&tree.git_dir, scratch, &tree.dir)?;
    if fs::symlink_metadata(&tree.dir).is_err() {
        return files::rename(scratch, &tree.dir);
    }
    crash::step();
    let exchanged = renameat_with(CWD, scratch, CWD, &tree.dir, RenameFlags::EXCHANGE);
    let old = match exchanged {
        Ok(()) => scratch.to_owned(),
        Err(error) if cannot_exchange(error) => replace(scratch, &tree.dir)?,
        Err(error) => return Err(error.into()),
    };
    // The new tree is in its place: what is left of the old one goes with the next preparation.
    if let Err(error) = files::remove_any(&old) {
        let reason = error.to_string();
        tracing::info!(reason, tree = %old.display(), "cannot remove the old tree");
    }
    Ok(())
}

/// Tells whether the file system, or the kernel, has no exchange of two names. Every other error is
/// about these two directories, and would be met by a rename, too.
fn cannot_exchange(error: Errno) -> bool {
    [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP].contains(&error)
}

/// Gives a tree the place of another one by two renames: there is a moment without any. Gives the
/// path of the old one, which is back in its place if the second rename fails.
fn replace(scratch: &Path, dir: &Path) -> io::Result<PathBuf> {
    let mut old = scratch.as_os_str().to_owned();
    old.push(OLD);
    let old = PathBuf::from(old);
    files::remove_any(&old)?;
    files::rename(dir, &old)?;
    match files::rename(scratch, dir) {
        Ok(()) => Ok(old),
        Err(error) => {
            files::rename(&old, dir)?;
            Err(error)
        }
    }
}

/// The commit that a tree, or its admin directory, is named by; until v3.2 git-sync put a prefix to
/// it.
fn commit_in(name: &OsStr) -> Option<Hash> {
    let name = name.to_str()?;
    name.strip_prefix("rev-").unwrap_or(name).parse().ok()
}

/// The way from one directory to a path, both absolute.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let common = from
        .components()
        .zip(to.components())
        .take_while(|(a, b)| a == b)
        .count();
    let up = from.components().skip(common).map(|_| Component::ParentDir);
    up.chain(to.components().skip(common)).collect()
}

/// Takes `.` and `..` out of an absolute path.
fn without_dots(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            _ => out.push(component),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_exchange_never_costs_the_published_tree() {
        for error in [
            Errno::BUSY,
            Errno::ACCESS,
            Errno::PERM,
            Errno::NOSPC,
            Errno::IO,
            Errno::XDEV,
        ] {
            assert!(!cannot_exchange(error), "{error}");
        }
        for error in [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP] {
            assert!(cannot_exchange(error), "{error}");
        }
        let world = tempfile::tempdir().unwrap();
        let path = |name: &str| world.path().join(name);
        fs::create_dir_all(path("dir/old")).unwrap();
        assert!(replace(&path("absent"), &path("dir")).is_err());
        assert!(path("dir/old").is_dir(), "it is back");
        fs::create_dir_all(path(".new-x/new")).unwrap();
        let old = replace(&path(".new-x"), &path("dir")).unwrap();
        assert!(old.join("old").is_dir() && path("dir/new").is_dir());
    }

    #[test]
    fn links_are_relative_to_their_directory() {
        for (from, to, expected) in [
            ("/git", "/git/.worktrees/a", ".worktrees/a"),
            ("/git/x/y", "/git/.worktrees/a", "../../.worktrees/a"),
            ("/srv", "/git/.worktrees/a", "../git/.worktrees/a"),
        ] {
            let way = relative(Path::new(from), Path::new(to));
            assert_eq!(way, Path::new(expected));
            assert_eq!(without_dots(&Path::new(from).join(way)), Path::new(to));
        }
    }
}
