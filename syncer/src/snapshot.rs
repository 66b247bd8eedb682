//! File metadata of the published tree, by which an idle pass detects changes on disk with a few
//! `stat` calls.
//!
//! It is taken after a pass of git has succeeded. While it matches the disk and the ref names the same
//! object, there is nothing to do and nothing to read, not even our own marker.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use crate::checkout::Checkout;
use crate::config::RepoConfig;
use crate::config::Sparse;
use crate::files;
use crate::files::Stamp;
use crate::git::Hash;
use crate::mirror::Mirror;
use crate::publish::Layout;
use crate::tree::Tree;

/// A published tree, and how its parts looked when it was known to be complete.
pub(crate) struct PublishedSnapshot {
    pub(crate) tree: Tree,
    link: PathBuf,
    target: PathBuf,
    /// There are no older trees, which would have to go some time.
    pub(crate) is_alone: bool,
    parts: Vec<(PathBuf, Option<Stamp>)>,
}

impl PublishedSnapshot {
    /// Looks at everything that a pass would find changed: the link, the tree's marker and its ties
    /// to the repository, the packs, and what the user wants to see of the commit. `None` if the
    /// tree does not stand as published at this moment.
    pub(crate) fn of(
        config: &RepoConfig,
        layout: &Layout,
        mirror: &Mirror,
        tree: Tree,
    ) -> Option<Self> {
        let proof = layout.proof(&tree);
        let packs = mirror.git_dir().join("objects/pack");
        let mut paths = vec![
            tree.marker.clone(),
            tree.git_dir.join("HEAD"),
            tree.dir.join(".git"),
            mirror.git_dir().join("shallow"),
            packs.clone(),
        ];
        let names = files::names_in(&packs).ok()?;
        let packs = names
            .iter()
            .filter(|name| is_pack(name))
            .map(|name| packs.join(name));
        paths.extend(packs);
        if let Some(Sparse::File(file)) = &config.sparse {
            paths.push(file.clone());
        }
        // It changes with every entry: another tree, or a link to a part of this one.
        paths.push(layout.trees());
        let parts = paths.into_iter().map(|path| {
            let stamp = Stamp::of(&path);
            (path, stamp)
        });
        let parts = parts.collect();
        let is_alone = layout.others(&tree).ok()?.is_empty();
        // Stamps first: a later change differs from them, and an earlier one is seen here.
        let wanted = Checkout::wanted(config).ok()?;
        layout
            .is_as_published(&tree, &wanted.selection)
            .then_some(Self {
                tree,
                link: proof.link?,
                target: proof.target,
                is_alone,
                parts,
            })
    }

    /// Tells whether the tree is that of the commit, and everything is as it was.
    pub(crate) fn holds(&self, commit: &Hash) -> bool {
        self.tree.commit == *commit
            && fs::read_link(&self.link).is_ok_and(|target| target == self.target)
            && self.tree.shown.is_dir()
            && self
                .parts
                .iter()
                .all(|(path, stamp)| Stamp::of(path) == *stamp)
    }
}

/// Objects and where they are; what git derives from them it makes again.
fn is_pack(name: &OsStr) -> bool {
    let extension = Path::new(name).extension();
    extension.is_some_and(|extension| extension == "pack" || extension == "idx")
}
