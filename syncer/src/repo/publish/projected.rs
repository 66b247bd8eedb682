//! The layout of a ConfigMap volume: the entries are in the root itself.
//!
//! `root/X → ..data/X`, and `root/..data → ..<commit>`, which one rename switches. New entries are
//! linked before the switch and stale ones removed after it, so a path that exists in both
//! revisions exists at every moment. If a subdirectory is published instead of the whole
//! repository, `root/..data → ..<commit>/DIR`, and its entries are linked. git's own files are only
//! on the state volume.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use args::Subdir;

use crate::git::Hash;
use crate::git::Repository;
use crate::repo::publish::error::PublishError;
use crate::repo::publish::layout::Building;
use crate::repo::publish::layout::Layout;
use crate::repo::publish::subdir;
use crate::repo::publish::tree_name::TreeName;
use crate::repo::status::View;
use crate::system::files;
use crate::tree::Tree;
use crate::tree::selection::Checkout;
use crate::tree::submodules;

/// The link that is switched; the kubelet uses the same name, and tools watch it.
const DATA: &str = "..data";

/// The prefix of a temporary link, the same as the kubelet's.
const TEMPORARY_LINK: &str = "..data_tmp";

/// The prefix of the refs that keep the commits of existing trees from gc.
const KEPT_REFS: &str = "refs/gitvolume/trees";

/// The projected layout below one root.
pub(crate) struct ProjectedLayout {
    root: PathBuf,
    git_dir: PathBuf,
    /// The directory of markers and indexes, which consumers do not see.
    trees: PathBuf,
    /// The subdirectory that is published; `None` publishes the whole tree.
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

    /// The part of a tree that consumers see.
    fn shown_of(&self, dir: &Path) -> PathBuf {
        match &self.subdir {
            Some(subdir) => dir.join(subdir.as_path()),
            None => dir.to_owned(),
        }
    }

    /// Refuses a tree with an entry that cannot be published, before any entry is linked.
    fn check_entries(&self, tree: &Tree) -> Result<(), PublishError> {
        for name in files::names_in(&tree.shown).map_err(|source| self.io(source))? {
            if name.as_encoded_bytes().starts_with(b"..") {
                return Err(PublishError::Reserved(name.to_string_lossy().into_owned()));
            }
            let path = self.root.join(&name);
            if fs::symlink_metadata(&path).is_ok() && !self.is_ours(&name) {
                return Err(PublishError::in_the_way(path));
            }
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

    /// Whether an entry of the root is a link of the syncer.
    fn is_ours(&self, name: &OsStr) -> bool {
        let target = fs::read_link(self.root.join(name));
        target.is_ok_and(|target| target == Path::new(DATA).join(name))
    }

    /// The link and its target.
    fn link_to(&self, tree: &Tree) -> (PathBuf, PathBuf) {
        let target = tree.shown.strip_prefix(&self.root).unwrap_or(&tree.shown);
        (self.data(), target.to_owned())
    }

    fn io(&self, source: io::Error) -> PublishError {
        PublishError::Io {
            path: self.root.clone(),
            source,
        }
    }
}

impl Layout for ProjectedLayout {
    fn git_dir(&self) -> PathBuf {
        self.git_dir.clone()
    }

    fn trees(&self) -> PathBuf {
        self.root.clone()
    }

    fn has_expected_links(&self, tree: &Tree) -> bool {
        tree.shown == self.shown_of(&tree.dir)
    }

    fn clean(&self) -> io::Result<()> {
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
            // A partial tree; the published one is checked by more than its marker.
            if name != published && !tree.marker.exists() {
                files::remove_any(&tree.dir)?;
            }
        }
        // The lock of an index, a marker that was not renamed yet, or the rest of a removed tree.
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

    fn current(&self) -> Result<Option<Tree>, PublishError> {
        match files::read_link(&self.data()) {
            Ok(None) => Ok(None),
            Ok(Some(target)) => match TreeName::of_link(&target) {
                // Another subdirectory may have been configured before.
                Some(name) => Ok(Some(Tree {
                    shown: self.root.join(target),
                    ..self.tree(&name)
                })),
                None => Err(PublishError::in_the_way(self.data())),
            },
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                Err(PublishError::in_the_way(self.data()))
            }
            Err(source) => Err(self.io(source)),
        }
    }

    fn build<'a>(
        &'a self,
        git: Repository<'a>,
        commit: &'a Hash,
        checkout: &'a Checkout,
    ) -> Building<'a> {
        Box::pin(async move {
            let current = self.current()?;
            let mut name = TreeName {
                commit: commit.clone(),
                copy: 0,
            };
            // A repair uses a new directory, so that consumers keep the old tree.
            while current
                .as_ref()
                .is_some_and(|current| current.dir == self.tree(&name).dir)
            {
                name.copy += 1;
            }
            let tree = self.tree(&name);
            tree.unmark()?;
            // As in the link layout: the last fetched commit is kept, so that it need not be
            // fetched again if its tree fails.
            let kept = format!("{KEPT_REFS}/{name}");
            git.update_refs(&["HEAD", &kept], commit).await?;
            let begun = tree.clone();
            let trees = self.trees.clone();
            files::blocking(move || {
                files::make_dir(&trees)?;
                files::remove_any(&begun.dir)?;
                files::remove_any(&begun.index)?;
                files::make_dir(&begun.dir)
            })
            .await
            .map_err(|source| self.io(source))?;
            let files = tree.files(git.session);
            let manifest = checkout.fill(files, commit, current.as_ref()).await?;
            if submodules::modules_of(&tree.git_dir).is_dir() {
                let dir = tree.dir.clone();
                files::blocking(move || submodules::hide(&dir))
                    .await
                    .map_err(|source| self.io(source))?;
            }
            subdir::check(&tree.dir, self.subdir.as_ref())?;
            self.check_entries(&tree)?;
            tree.write_manifest(manifest).await?;
            tree.mark(&checkout.selection)?;
            Ok(tree)
        })
    }

    fn publish(&self, tree: &Tree) -> Result<(), PublishError> {
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
        // The tree is published: a remaining dangling link is no failure.
        if let Err(error) = self.remove_stale_links(tree) {
            let reason = error.to_string();
            tracing::info!(reason, root = %self.root.display(), "cannot remove links of an earlier revision");
        }
        Ok(())
    }

    fn view(&self, tree: &Tree) -> View {
        let (link, target) = self.link_to(tree);
        View::Link { link, target }
    }

    fn is_shown(&self, tree: &Tree) -> bool {
        let (link, target) = self.link_to(tree);
        let names = files::names_in(&tree.shown);
        fs::read_link(link).is_ok_and(|found| found == target)
            && names.is_ok_and(|names| names.iter().all(|name| self.is_ours(name)))
    }

    fn tree_of(&self, commit: &Hash) -> Tree {
        self.tree(&TreeName {
            commit: commit.clone(),
            copy: 0,
        })
    }

    fn others(&self, current: &Tree) -> io::Result<Vec<PathBuf>> {
        let names = files::names_in(&self.root)?;
        let trees = names.iter().filter_map(|name| TreeName::of_dir(name));
        let dirs = trees.map(|name| self.tree(&name).dir);
        Ok(dirs.filter(|dir| *dir != current.dir).collect())
    }

    /// For a tree of many small files, git's index is most of what a linked tree needs.
    fn retire(&self, tree: &Tree) -> io::Result<()> {
        files::remove_any(&tree.index)
    }

    fn remove(&self, dir: &Path) -> io::Result<()> {
        let Some(name) = dir.file_name().and_then(TreeName::of_dir) else {
            return Ok(());
        };
        let tree = self.tree(&name);
        files::remove_any(&tree.marker)?;
        files::remove_any(&tree.manifest())?;
        files::remove_any(&tree.dir)?;
        files::remove_any(&tree.index)
    }

    fn has_tree(&self, name: &str) -> bool {
        let name = name.strip_prefix(KEPT_REFS).unwrap_or_default();
        let dir = format!("..{}", name.trim_start_matches('/'));
        self.root.join(dir).is_dir()
    }

    fn kept_ref(&self, dir: &Path) -> Option<String> {
        let name = dir.file_name().and_then(TreeName::of_dir)?;
        Some(format!("{KEPT_REFS}/{name}"))
    }

    /// The repository is in the syncer's own directory.
    fn owns_git_dir(&self) -> bool {
        true
    }

    fn refs(&self) -> Option<&'static str> {
        Some(KEPT_REFS)
    }
}
