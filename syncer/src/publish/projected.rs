//! A ConfigMap volume's layout: the entries appear at the root itself.
//!
//! `root/X → ..data/X`, and `root/..data → ..<commit>`, which one rename switches. New entries are
//! linked before the switch and stale ones removed after it, so a path that both revisions have is
//! there at every moment. Where a directory of the repository is shown in place of its top, `..data`
//! leads into it, `root/..data → ..<commit>/DIR`, and its entries are linked. git's own files are on the state volume alone.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use args::Subdir;
use tokio::time::Instant;

use crate::checkout::Checkout;
use crate::checkout::Place;
use crate::files;
use crate::git::Git;
use crate::git::Hash;
use crate::mirror::Mirror;
use crate::publish::PublishError;
use crate::submodules;
use crate::tree::Tree;

/// The link that is switched; the name is the kubelet's, and tools watch it.
const DATA: &str = "..data";

/// Prefix of a link that is about to be renamed, also the kubelet's name.
const TEMPORARY_LINK: &str = "..data_tmp";

/// Where refs keep the commits of kept trees from gc.
pub(super) const KEPT_REFS: &str = "refs/gitvolume/trees";

/// The projected layout below one root.
pub(crate) struct ProjectedLayout {
    root: PathBuf,
    git_dir: PathBuf,
    /// Markers and indexes, which are not for the readers.
    trees: PathBuf,
    /// What is shown of a tree; none is all.
    subdir: Option<Subdir>,
}

impl ProjectedLayout {
    pub(super) fn new(root: PathBuf, state: &Path, subdir: Option<Subdir>) -> Self {
        Self {
            root,
            git_dir: state.join("repo"),
            trees: state.join("trees"),
            subdir,
        }
    }

    pub(super) fn git_dir(&self) -> PathBuf {
        self.git_dir.clone()
    }

    pub(super) fn root(&self) -> PathBuf {
        self.root.clone()
    }

    fn data(&self) -> PathBuf {
        self.root.join(DATA)
    }

    fn tree(&self, name: &TreeName) -> Tree {
        let own = |extension: &str| self.trees.join(format!("{name}.{extension}"));
        let dir = self.root.join(format!("..{name}"));
        Tree {
            commit: name.commit.clone(),
            shown: self.shown_of(&dir),
            dir,
            git_dir: self.git_dir.clone(),
            index: own("index"),
            marker: own("whole"),
        }
    }

    /// The part of a tree that readers see.
    fn shown_of(&self, dir: &Path) -> PathBuf {
        match &self.subdir {
            Some(subdir) => dir.join(subdir.as_path()),
            None => dir.to_owned(),
        }
    }

    /// Tells whether readers of this tree see of it what they are to see now.
    pub(super) fn shows_what_is_wanted(&self, tree: &Tree) -> bool {
        tree.shown == self.shown_of(&tree.dir)
    }

    pub(super) fn clean(&self) -> io::Result<()> {
        for name in files::names_in(&self.root)? {
            if name
                .as_encoded_bytes()
                .starts_with(TEMPORARY_LINK.as_bytes())
            {
                files::remove_any(&self.root.join(name))?;
            }
        }
        let published = files::read_link(&self.data())?.unwrap_or_default();
        let published = published.iter().next().unwrap_or_default();
        for name in files::names_in(&self.root)? {
            let Some(tree) = TreeName::of_dir(&name).map(|name| self.tree(&name)) else {
                continue;
            };
            // Half of a tree; what is published is judged by more than its marker.
            if name != published && !tree.marker.exists() {
                files::remove_any(&tree.dir)?;
            }
        }
        // The lock of an index, a marker that was not renamed yet, and what is left of a tree.
        for name in files::names_in(&self.trees)? {
            let stem = Path::new(&name).file_stem().unwrap_or_default();
            let dir = self.root.join(format!("..{}", stem.display()));
            let bytes = name.as_encoded_bytes();
            if bytes.ends_with(b".lock")
                || bytes.starts_with(files::TEMPORARY.as_bytes())
                || !dir.is_dir()
            {
                files::remove_any(&self.trees.join(name))?;
            }
        }
        Ok(())
    }

    pub(super) fn current(&self) -> Result<Option<Tree>, PublishError> {
        match files::read_link(&self.data()) {
            Ok(None) => Ok(None),
            Ok(Some(target)) => match TreeName::of_link(&target) {
                // Another directory of it may have been wanted before.
                Some(name) => Ok(Some(Tree {
                    shown: self.root.join(target),
                    ..self.tree(&name)
                })),
                None => Err(self.foreign(self.data())),
            },
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                Err(self.foreign(self.data()))
            }
            Err(source) => Err(self.io(source)),
        }
    }

    pub(super) async fn build(
        &self,
        git: &Git,
        mirror: &Mirror,
        commit: &Hash,
        checkout: &Checkout,
        deadline: Instant,
    ) -> Result<Tree, PublishError> {
        let current = self.current()?;
        let mut name = TreeName {
            commit: commit.clone(),
            copy: 0,
        };
        // A repair gets a directory of its own, so that readers keep what they have.
        while current
            .as_ref()
            .is_some_and(|current| current.dir == self.tree(&name).dir)
        {
            name.copy += 1;
        }
        let tree = self.tree(&name);
        tree.unmark()?;
        // As in the other layout: what was last wanted need not be fetched again, should its tree
        // fail.
        mirror.keep(git, "HEAD", commit, deadline).await?;
        mirror
            .keep(git, &format!("{KEPT_REFS}/{name}"), commit, deadline)
            .await?;
        let begun = tree.clone();
        let trees = self.trees.clone();
        // Those of another commit may hold what this one no longer names.
        let keeps_modules = current.is_some_and(|current| current.commit == *commit);
        files::blocking(move || {
            if !keeps_modules {
                files::remove_any(&submodules::modules_of(&begun.git_dir))?;
            }
            files::make_dir(&trees)?;
            files::remove_any(&begun.dir)?;
            files::remove_any(&begun.index)?;
            files::make_dir(&begun.dir)
        })
        .await
        .map_err(|source| self.io(source))?;
        let place = Place {
            git_dir: &tree.git_dir,
            dir: &tree.dir,
            index: &tree.index,
        };
        checkout.fill(git, commit, place, deadline).await?;
        if submodules::modules_of(&tree.git_dir).is_dir() {
            let dir = tree.dir.clone();
            files::blocking(move || submodules::hide(&dir))
                .await
                .map_err(|source| self.io(source))?;
        }
        self.check_subdir(&tree)?;
        self.check_entries(&tree)?;
        tree.mark(&checkout.selection)?;
        Ok(tree)
    }

    /// Refuses a tree without the directory that is to be shown. No part of the way there may be a
    /// symlink, which could lead out of the tree.
    fn check_subdir(&self, tree: &Tree) -> Result<(), PublishError> {
        let Some(subdir) = &self.subdir else {
            return Ok(());
        };
        let refused = |what: String| PublishError::Subdir {
            subdir: subdir.to_string(),
            what,
        };
        let mut path = PathBuf::new();
        for name in subdir.names() {
            path.push(name);
            let found = files::absent_is_none(fs::symlink_metadata(tree.dir.join(&path)));
            let found = found.map_err(|source| self.io(source))?;
            let shown = path.display();
            match found {
                Some(found) if found.is_dir() => {}
                Some(found) if found.is_symlink() => {
                    return Err(refused(format!(
                        "{shown} is a symlink, which is not followed"
                    )));
                }
                Some(_) => return Err(refused(format!("{shown} is a file"))),
                None => return Err(refused("nothing of that name was checked out".to_owned())),
            }
        }
        let names = files::names_in(&tree.shown).map_err(|source| self.io(source))?;
        if names.is_empty() {
            // git knows no empty directories.
            let what = "it is empty, as a submodule is that was not checked out";
            return Err(refused(what.to_owned()));
        }
        Ok(())
    }

    /// Refuses a tree that cannot be shown, before any of it is.
    fn check_entries(&self, tree: &Tree) -> Result<(), PublishError> {
        for name in files::names_in(&tree.shown).map_err(|source| self.io(source))? {
            if name.as_encoded_bytes().starts_with(b"..") {
                return Err(PublishError::Reserved(name.to_string_lossy().into_owned()));
            }
            let path = self.root.join(&name);
            if fs::symlink_metadata(&path).is_ok() && !self.is_ours(&name) {
                return Err(self.foreign(path));
            }
        }
        Ok(())
    }

    pub(super) fn publish(&self, tree: &Tree) -> Result<(), PublishError> {
        self.check_entries(tree)?;
        let publish = || -> io::Result<()> {
            for name in files::names_in(&tree.shown)? {
                if !self.is_ours(&name) {
                    files::new_link(&Path::new(DATA).join(&name), &self.root.join(&name))?;
                }
            }
            let (link, target) = self.link_to(tree);
            if files::read_link(&link)?.as_ref() != Some(&target) {
                files::replace_link(TEMPORARY_LINK, &target, &link)?;
            }
            Ok(())
        };
        publish().map_err(|source| self.io(source))?;
        // The tree is shown: a link to nothing that is left is no failure.
        if let Err(error) = self.remove_stale_links(tree) {
            let reason = error.to_string();
            tracing::info!(reason, root = %self.root.display(), "cannot remove links of an earlier revision");
        }
        Ok(())
    }

    fn remove_stale_links(&self, tree: &Tree) -> io::Result<()> {
        let entries: BTreeSet<OsString> = files::names_in(&tree.shown)?.into_iter().collect();
        for name in files::names_in(&self.root)? {
            if !entries.contains(&name) && self.is_ours(&name) {
                files::remove_any(&self.root.join(name))?;
            }
        }
        Ok(())
    }

    pub(super) fn link_to(&self, tree: &Tree) -> (PathBuf, PathBuf) {
        let target = tree.shown.strip_prefix(&self.root).unwrap_or(&tree.shown);
        (self.data(), target.to_owned())
    }

    /// Tells whether every entry leads into the tree.
    pub(super) fn is_shown(&self, tree: &Tree) -> bool {
        let (link, target) = self.link_to(tree);
        let names = files::names_in(&tree.shown);
        fs::read_link(link).is_ok_and(|found| found == target)
            && names.is_ok_and(|names| names.iter().all(|name| self.is_ours(name)))
    }

    /// Where a commit's tree is, if it was never made again beside itself.
    pub(super) fn first_tree(&self, commit: &Hash) -> Tree {
        self.tree(&TreeName {
            commit: commit.clone(),
            copy: 0,
        })
    }

    /// Tells whether an entry of the root is a link that we made.
    fn is_ours(&self, name: &OsStr) -> bool {
        let target = fs::read_link(self.root.join(name));
        target.is_ok_and(|target| target == Path::new(DATA).join(name))
    }

    pub(super) fn others(&self, current: &Tree) -> io::Result<Vec<PathBuf>> {
        let names = files::names_in(&self.root)?;
        let trees = names.iter().filter_map(|name| TreeName::of_dir(name));
        let dirs = trees.map(|name| self.tree(&name).dir);
        Ok(dirs.filter(|dir| *dir != current.dir).collect())
    }

    pub(super) fn remove(&self, dir: &Path) -> io::Result<()> {
        let Some(name) = dir.file_name().and_then(TreeName::of_dir) else {
            return Ok(());
        };
        let tree = self.tree(&name);
        files::remove_any(&tree.marker)?;
        files::remove_any(&tree.dir)?;
        files::remove_any(&tree.index)
    }

    /// Tells whether the tree is there that a ref keeps the commit of.
    pub(super) fn has_tree(&self, name: &str) -> bool {
        let name = name.strip_prefix(KEPT_REFS).unwrap_or_default();
        let dir = format!("..{}", name.trim_start_matches('/'));
        self.root.join(dir).is_dir()
    }

    /// The ref that keeps a tree's commit.
    pub(super) fn kept_ref(&self, dir: &Path) -> Option<String> {
        let name = dir.file_name().and_then(TreeName::of_dir)?;
        Some(format!("{KEPT_REFS}/{name}"))
    }

    fn foreign(&self, path: PathBuf) -> PublishError {
        PublishError::Foreign {
            path,
            why: "it was not made by the syncer, and the repository needs its name",
        }
    }

    fn io(&self, source: io::Error) -> PublishError {
        PublishError::Io {
            path: self.root.clone(),
            source,
        }
    }
}

/// What tells trees apart: the commit, and a number where one was made again while readers saw it.
#[derive(Debug, Eq, PartialEq)]
struct TreeName {
    commit: Hash,
    copy: u32,
}

impl TreeName {
    /// Reads the target of the link: a tree's directory, or one in it.
    fn of_link(target: &Path) -> Option<Self> {
        let mut parts = target.components();
        let name = Self::of_dir(parts.next()?.as_os_str())?;
        let is_name = |part| matches!(part, Component::Normal(_));
        parts.all(is_name).then_some(name)
    }

    /// Reads the name of a tree's directory, two dots and the tree's name.
    fn of_dir(dir: &OsStr) -> Option<Self> {
        let name = dir.to_str()?.strip_prefix("..")?;
        let (commit, copy) = match name.split_once('-') {
            Some((commit, copy)) => (commit, copy.parse().ok().filter(|&copy| copy > 0)?),
            None => (name, 0),
        };
        let commit = commit.parse().ok()?;
        Some(Self { commit, copy })
    }
}

impl fmt::Display for TreeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.commit)?;
        if self.copy > 0 {
            write!(f, "-{}", self.copy)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_trees() {
        let commit = "0123456789012345678901234567890123456789";
        for name in [format!("..{commit}"), format!("..{commit}-2")] {
            let read = TreeName::of_dir(OsStr::new(&name)).unwrap();
            assert_eq!(format!("..{read}"), name);
        }
        for name in [
            "..data",
            "..",
            commit,
            "..0123",
            "..2026_11_21_06_00_00.1234",
        ] {
            assert_eq!(TreeName::of_dir(OsStr::new(name)), None, "{name}");
        }
    }

    #[test]
    fn the_link_leads_to_a_tree_or_into_one() {
        let tree = "..0123456789012345678901234567890123456789-2";
        for target in [tree.to_owned(), format!("{tree}/a/b")] {
            let name = TreeName::of_link(Path::new(&target)).unwrap();
            assert_eq!(format!("..{name}"), tree);
        }
        for target in [format!("{tree}/../x"), format!("/{tree}"), "a".to_owned()] {
            assert_eq!(TreeName::of_link(Path::new(&target)), None, "{target}");
        }
    }
}
