//! File metadata of the published tree, by which an idle pass detects changes on disk with a few
//! `stat` calls.
//!
//! It is taken after git has succeeded. While it matches the disk and the ref names the same
//! object, a pass has nothing to do and reads no file, not even the tree's marker.

use std::ffi::OsStr;
use std::path::Path;

use crate::config::RepoConfig;
use crate::config::Sparse;
use crate::git::Hash;
use crate::repo::mirror::Mirror;
use crate::repo::publish::layout::Layout;
use crate::repo::status::View;
use crate::system::files;
use crate::system::files::StampedFiles;
use crate::tree::Tree;
use crate::tree::selection::Checkout;

/// The metadata of a published tree, taken when the tree was known to be complete.
pub(crate) struct PublishedSnapshot {
    pub(crate) tree: Tree,
    view: View,
    /// Whether there are no older trees that will have to be removed.
    pub(crate) is_alone: bool,
    parts: StampedFiles,
}

impl PublishedSnapshot {
    /// Reads the metadata of everything that a pass could find changed: the link, the tree's marker
    /// and its links to the repository, the packs, and the selection of files. `None` if the tree
    /// is not intact and published at this moment.
    pub(crate) fn of(
        config: &RepoConfig,
        layout: &dyn Layout,
        mirror: &Mirror,
        tree: Tree,
    ) -> Option<Self> {
        let view = layout.view(&tree);
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
        // It changes with every entry: another tree, or a link to a subdirectory of this one.
        paths.push(layout.trees());
        let parts = StampedFiles::of(paths);
        let is_alone = layout.others(&tree).ok()?.is_empty();
        // The stamps are taken first: a later change then differs from them, and an earlier one is
        // detected here.
        let wanted = Checkout::wanted(config).ok()?;
        layout
            .is_as_published(&tree, &wanted.selection)
            .then_some(Self {
                tree,
                view,
                is_alone,
                parts,
            })
    }

    /// Whether the tree is that of the commit and nothing on disk has changed.
    pub(crate) fn holds(&self, commit: &Hash) -> bool {
        self.tree.commit == *commit
            && self.view.is_current()
            && self.tree.shown.is_dir()
            && self.parts.are_unchanged()
    }
}

/// Whether a file is a pack or its index; git recreates the files that it derives from them.
fn is_pack(name: &OsStr) -> bool {
    let extension = Path::new(name).extension();
    extension.is_some_and(|extension| extension == "pack" || extension == "idx")
}
