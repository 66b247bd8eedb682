//! The layout of published trees: one set of steps, implemented once per layout.

use crate::git::Hash;
use crate::git::Repository;
use crate::repo::publish::error::PublishError;
use crate::repo::status::Published;
use crate::repo::status::View;
use crate::tree::Tree;
use crate::tree::TreeState;
use crate::tree::selection::Checkout;
use crate::tree::selection::Selection;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::pin::Pin;

/// A pending tree; it resolves when the tree is complete.
pub(crate) type Building<'a> =
    Pin<Box<dyn Future<Output = Result<Tree, PublishError>> + Send + 'a>>;

/// The layout of published trees.
pub(crate) trait Layout: Send + Sync {
    /// The directory of git's repository.
    fn git_dir(&self) -> PathBuf;

    /// The directory that contains the trees.
    fn trees(&self) -> PathBuf;

    /// The paths of a commit's tree, whether it exists or not.
    fn tree_of(&self, commit: &Hash) -> Tree;

    /// Removes incomplete files of a killed syncer.
    fn clean(&self) -> io::Result<()>;

    /// The tree that consumers see now, complete or not.
    fn current(&self) -> Result<Option<Tree>, PublishError>;

    /// Creates the tree of a commit and marks it complete. The published tree stays unchanged, or a
    /// repaired copy replaces it in one step.
    fn build<'a>(
        &'a self,
        git: Repository<'a>,
        commit: &'a Hash,
        checkout: &'a Checkout,
    ) -> Building<'a>;

    /// Publishes a complete tree; if it is already published, restores what is missing.
    fn publish(&self, tree: &Tree) -> Result<(), PublishError>;

    /// Whether the published link points to this tree.
    fn is_shown(&self, tree: &Tree) -> bool;

    /// Whether the tree's own links are as this layout creates them: to git's repository, or to the
    /// configured subdirectory.
    fn has_expected_links(&self, tree: &Tree) -> bool;

    /// The directories of all trees except the current one, including git-sync's.
    fn others(&self, current: &Tree) -> io::Result<Vec<PathBuf>>;

    /// Removes a tree.
    fn remove(&self, dir: &Path) -> io::Result<()>;

    /// Whether the repository counts as a syncer's in any case, whatever it looks like.
    fn owns_git_dir(&self) -> bool;

    /// Removes the files of a tree that only the published one needs. Their absence is no damage.
    fn retire(&self, _tree: &Tree) -> io::Result<()> {
        Ok(())
    }

    /// The prefix of the refs that keep trees' commits from gc. `None`: git keeps the commits of
    /// its linked worktrees.
    fn refs(&self) -> Option<&'static str> {
        None
    }

    /// Whether the tree of this ref exists.
    fn has_tree(&self, _ref_name: &str) -> bool {
        true
    }

    /// The ref that keeps a tree's commit from gc.
    fn kept_ref(&self, _dir: &Path) -> Option<String> {
        None
    }

    /// Whether consumers see this tree, complete and with the current selection: a few `stat` and
    /// `readlink` calls and two small files, so that each pass can call it.
    fn is_as_published(&self, tree: &Tree, selection: &Selection) -> bool {
        self.is_intact(tree, selection) && self.is_shown(tree)
    }

    /// Whether a tree is complete and has the current selection. No file of the commit is read.
    fn is_intact(&self, tree: &Tree, selection: &Selection) -> bool {
        tree.state(selection) == TreeState::Complete && self.has_expected_links(tree)
    }

    /// The tree of a commit that was made earlier and still exists.
    fn find(&self, commit: &Hash, selection: &Selection) -> Option<Tree> {
        Some(self.tree_of(commit)).filter(|tree| self.is_intact(tree, selection))
    }

    /// Whether the published tree is of the configured address and ref, so that a one-time run has
    /// nothing to do. Only for a layout of which a one-time tree is kept.
    fn is_of_request(&self) -> bool {
        false
    }

    /// Whether a tree's directory has all selected files of the commit at their own paths, so that
    /// git can compare it with the commit.
    fn is_comparable(&self) -> bool {
        true
    }

    /// The paths by which a probe verifies that this tree is published.
    fn proof(&self, tree: &Tree) -> Published {
        Published {
            commit: tree.commit.to_string(),
            tree: tree.shown.clone(),
            marker: tree.marker.clone(),
            view: self.view(tree),
        }
    }

    /// How consumers see a tree.
    fn view(&self, tree: &Tree) -> View;
}
