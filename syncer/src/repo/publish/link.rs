//! git-sync's layout: `root/.git`, `root/.worktrees/<commit>`, and a link to the latter whose last
//! component is the commit. Each tree has a `.git` that works for every container that mounts the
//! root.

mod place;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use crate::git::Hash;
use crate::git::Repository;
use crate::repo::publish::error::PublishError;
use crate::repo::publish::layout::Building;
use crate::repo::publish::layout::Layout;
use crate::repo::publish::link::place::SCRATCH;
use crate::repo::publish::link::place::begin;
use crate::repo::publish::link::place::gitlink;
use crate::repo::publish::link::place::put_in_place;
use crate::repo::status::View;
use crate::system::files;
use crate::tree::Tree;
use crate::tree::TreeError;
use crate::tree::selection::Checkout;
use crate::tree::selection::UnchangedFiles;

/// Directory of the trees, below the root.
const WORKTREES: &str = ".worktrees";

/// The marker of a tree, in its admin directory.
const MARKER: &str = "gitvolume-whole";

/// The name of git-sync's temporary link, before it is renamed.
const GIT_SYNCS_LINK: &[u8] = b"tmp-link";

/// The prefix of a temporary link, before it is renamed.
const TEMPORARY_LINK: &str = ".gitvolume-link-";

/// git-sync's layout below one root.
pub(crate) struct LinkLayout {
    root: PathBuf,
    link: PathBuf,
}

impl LinkLayout {
    pub(super) fn new(root: PathBuf, link: PathBuf) -> Self {
        Self { root, link }
    }

    fn link_dir(&self) -> &Path {
        self.link.parent().unwrap_or(Path::new("/"))
    }

    /// Whether a directory is a tree of git-sync v3: a worktree of the mirror in the root itself,
    /// named by its commit, with a prefix until v3.2.
    fn is_predecessors(&self, dir: &Path) -> bool {
        dir.parent() == Some(&self.root)
            && dir.file_name().and_then(commit_in).is_some()
            && fs::read_to_string(dir.join(".git")).is_ok_and(|gitlink| {
                gitlink.starts_with("gitdir: ") && gitlink.contains("/.git/worktrees/")
            })
    }

    /// Whether the repository is configured for linked trees, in the form in which git writes it.
    fn ignores_change_times(&self) -> bool {
        let config = fs::read_to_string(self.git_dir().join("config"));
        config.is_ok_and(|text| text.contains("\ttrustctime = false\n"))
    }

    fn resolved(&self, target: &Path) -> PathBuf {
        without_dots(&self.link_dir().join(target))
    }

    /// The link and its target: a relative path, so that the root can be mounted anywhere.
    fn link_to(&self, tree: &Tree) -> (PathBuf, PathBuf) {
        (self.link.clone(), relative(self.link_dir(), &tree.dir))
    }

    fn io(&self, source: io::Error) -> PublishError {
        PublishError::Io {
            path: self.link.clone(),
            source,
        }
    }
}

impl Layout for LinkLayout {
    fn git_dir(&self) -> PathBuf {
        self.root.join(".git")
    }

    fn trees(&self) -> PathBuf {
        self.root.join(WORKTREES)
    }

    fn tree_of(&self, commit: &Hash) -> Tree {
        let git_dir = self.git_dir().join("worktrees").join(commit.as_str());
        let dir = self.trees().join(commit.as_str());
        Tree {
            commit: commit.clone(),
            shown: dir.clone(),
            dir,
            index: git_dir.join("index"),
            marker: git_dir.join(MARKER),
            git_dir,
        }
    }

    fn clean(&self) -> io::Result<()> {
        for name in files::names_in(&self.trees())? {
            if name.as_encoded_bytes().starts_with(SCRATCH.as_bytes()) {
                files::remove_any(&self.trees().join(name))?;
            }
        }
        let target = |path: &Path| fs::read_link(path).map(|target| self.resolved(&target));
        for name in files::names_in(self.link_dir())? {
            let bytes = name.as_encoded_bytes();
            if !bytes.starts_with(TEMPORARY_LINK.as_bytes()) && bytes != GIT_SYNCS_LINK {
                continue;
            }
            // Another syncer may publish into the same directory: only a link into this root is
            // this syncer's.
            let path = self.link_dir().join(&name);
            if target(&path).is_ok_and(|target| target.starts_with(&self.root)) {
                files::remove_any(&path)?;
            }
        }
        // git's records of missing trees would keep their commits for ever.
        let published = target(&self.link).unwrap_or_default();
        let admin = self.git_dir().join("worktrees");
        if !admin.is_dir() {
            return Ok(());
        }
        for name in files::names_in(&admin)? {
            let dirs = [&self.trees(), &self.root].map(|dir| dir.join(&name));
            let is_wanted = |dir: &PathBuf| *dir == published || dir.exists();
            if commit_in(&name).is_some() && !dirs.iter().any(is_wanted) {
                files::remove_any(&admin.join(&name))?;
            }
        }
        Ok(())
    }

    fn owns_git_dir(&self) -> bool {
        let target = fs::read_link(&self.link).map(|target| self.resolved(&target));
        target.is_ok_and(|target| self.is_predecessors(&target))
    }

    fn current(&self) -> Result<Option<Tree>, PublishError> {
        let target = match files::read_link(&self.link) {
            Ok(None) => return Ok(None),
            Ok(Some(target)) => self.resolved(&target),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                return Err(PublishError::Foreign {
                    path: self.link.clone(),
                    why: "it is not a symlink created by the syncer",
                });
            }
            Err(source) => return Err(self.io(source)),
        };
        if target.parent() != Some(&self.trees()) {
            return Ok(None);
        }
        let name = target.file_name().and_then(|name| name.to_str());
        let commit = name.and_then(|name| name.parse::<Hash>().ok());
        Ok(commit.map(|commit| self.tree_of(&commit)))
    }

    fn build<'a>(
        &'a self,
        git: Repository<'a>,
        commit: &'a Hash,
        checkout: &'a Checkout,
    ) -> Building<'a> {
        Box::pin(async move {
            let tree = self.tree_of(commit);
            let previous = self.current()?;
            // `HEAD` names the last synced commit and keeps it from gc until the tree does.
            git.update_refs(&["HEAD"], commit).await?;
            let is_sparse = checkout.selection.sparse.is_some();
            if is_sparse {
                // Enables a configuration per tree, as `git sparse-checkout` does.
                git.config_set("extensions.worktreeConfig", "true").await?;
            }
            if checkout.unchanged == UnchangedFiles::Linked && !self.ignores_change_times() {
                // Each link changes the file's change time, by which consumers' git would take every
                // file for modified.
                git.config_set("core.trustctime", "false").await?;
            }
            let (begun, worktrees) = (tree.clone(), self.trees());
            let scratch = files::blocking(move || begin(&worktrees, &begun, is_sparse))
                .await
                .map_err(|source| self.io(source))?;
            let index = tree.git_dir.join("gitvolume-index");
            files::remove_any(&index).map_err(|source| self.io(source))?;
            let built = git.session.at(&tree.git_dir).work_tree(&scratch, &index);
            let manifest = checkout.fill(built, commit, previous.as_ref()).await?;
            if checkout.unchanged == UnchangedFiles::Cloned && manifest.is_some() {
                // The index may have the metadata of the previous tree's files, and consumers' git
                // would take every file for modified.
                let refreshed = built.update_index_refresh().await;
                refreshed.map_err(TreeError::from)?;
            }
            let (placed, root) = (tree.clone(), self.root.clone());
            files::blocking(move || put_in_place(&placed, &scratch, &index))
                .await
                .map_err(|source| PublishError::Io { path: root, source })?;
            tree.write_manifest(manifest).await?;
            tree.mark(&checkout.selection)?;
            Ok(tree)
        })
    }

    fn publish(&self, tree: &Tree) -> Result<(), PublishError> {
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

    fn is_shown(&self, tree: &Tree) -> bool {
        let (link, target) = self.link_to(tree);
        fs::read_link(link).is_ok_and(|found| found == target)
    }

    fn has_expected_links(&self, tree: &Tree) -> bool {
        let reads = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
        reads(tree.dir.join(".git")) == gitlink(tree)
            && reads(tree.git_dir.join("HEAD")).trim() == tree.commit.as_str()
    }

    fn view(&self, tree: &Tree) -> View {
        let (link, target) = self.link_to(tree);
        View::Link { link, target }
    }

    fn others(&self, current: &Tree) -> io::Result<Vec<PathBuf>> {
        let paths_in = |dir: &Path| -> io::Result<Vec<PathBuf>> {
            let names = files::names_in(dir)?.into_iter();
            Ok(names.map(|name| dir.join(name)).collect())
        };
        let mut others = paths_in(&self.trees())?;
        others.retain(|path| *path != current.dir);
        let predecessors = paths_in(&self.root)?.into_iter();
        others.extend(predecessors.filter(|path| self.is_predecessors(path)));
        Ok(others)
    }

    fn remove(&self, dir: &Path) -> io::Result<()> {
        let Some(name) = dir.file_name().filter(|name| commit_in(name).is_some()) else {
            return files::remove_any(dir);
        };
        let admin = self.git_dir().join("worktrees").join(name);
        if dir.parent() == Some(&self.root) && self.trees().join(name).exists() {
            // git-sync v3's tree of a commit that also has a tree here: the two share an admin
            // directory.
            return files::remove_any(dir);
        }
        files::remove_any(&admin.join(MARKER))?;
        files::remove_any(dir)?;
        files::remove_any(&admin)
    }
}

/// The commit in the name of a tree or its admin directory; git-sync added a prefix until v3.2.
fn commit_in(name: &OsStr) -> Option<Hash> {
    let name = name.to_str()?;
    name.strip_prefix("rev-").unwrap_or(name).parse().ok()
}

/// The relative path from a directory to another path, both absolute.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let common = from
        .components()
        .zip(to.components())
        .take_while(|(a, b)| a == b)
        .count();
    let up = from.components().skip(common).map(|_| Component::ParentDir);
    up.chain(to.components().skip(common)).collect()
}

/// Removes `.` and `..` from an absolute path.
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
