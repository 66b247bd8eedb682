//! How a tree appears to its readers: two layouts, one set of steps.

mod link;
mod projected;

use std::io;
use std::path::Path;
use std::path::PathBuf;

use tokio::time::Instant;

use crate::checkout::Checkout;
use crate::checkout::Selection;
use crate::config::LayoutConfig;
use crate::config::RepoConfig;
use crate::git::Git;
use crate::git::GitError;
use crate::git::Hash;
use crate::mirror::Mirror;
use crate::publish::link::LinkLayout;
use crate::publish::projected::ProjectedLayout;
use crate::status::Published;
use crate::tree::Tree;
use crate::tree::TreeError;
use crate::tree::TreeState;

/// What stands in the way of a publication.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("cannot publish at {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is in the way: {why}; move it, or choose another path", .path.display())]
    Foreign { path: PathBuf, why: &'static str },
    #[error(
        "the repository's entry {0:?} begins with two dots, which this layout keeps for itself: \
         rename it, or use --layout=link"
    )]
    Reserved(String),
    #[error("the revision has no directory {subdir:?}, which --subdir names: {what}")]
    Subdir { subdir: String, what: String },
}

/// The layout in use.
pub(crate) enum Layout {
    Link(LinkLayout),
    Projected(ProjectedLayout),
}

impl Layout {
    /// The layout that the configuration asks for; none of a clone, which is not published.
    pub(crate) fn of(config: &RepoConfig) -> Option<Self> {
        let root = config.root.clone();
        match &config.layout {
            LayoutConfig::Link { link } => Some(Self::Link(LinkLayout::new(root, link.clone()))),
            LayoutConfig::Projected { state, subdir } => {
                let layout = ProjectedLayout::new(root, state, subdir.clone());
                Some(Self::Projected(layout))
            }
            LayoutConfig::Clone { .. } => None,
        }
    }

    /// Where git keeps what it fetched.
    pub(crate) fn git_dir(&self) -> PathBuf {
        match self {
            Self::Link(layout) => layout.git_dir(),
            Self::Projected(layout) => layout.git_dir(),
        }
    }

    /// Removes what a killed syncer left half made.
    pub(crate) fn clean(&self) -> io::Result<()> {
        match self {
            Self::Link(layout) => layout.clean(),
            Self::Projected(layout) => layout.clean(),
        }
    }

    /// Tells whether readers see this tree, all of it and as it is wanted now: a few `stat` and
    /// `readlink` calls and two small files, so that it can be asked at every pass.
    pub(crate) fn is_as_published(&self, tree: &Tree, selection: &Selection) -> bool {
        self.is_intact(tree, selection)
            && match self {
                Self::Link(layout) => layout.is_shown(tree),
                Self::Projected(layout) => layout.is_shown(tree),
            }
    }

    /// Tells whether a tree is whole and as it is wanted now, and git's own files of it as we made
    /// them. No file of the commit is looked at.
    pub(crate) fn is_intact(&self, tree: &Tree, selection: &Selection) -> bool {
        tree.state(selection) == TreeState::Complete
            && match self {
                Self::Link(layout) => layout.is_linked(tree),
                Self::Projected(layout) => layout.shows_what_is_wanted(tree),
            }
    }

    /// The tree of a commit that was made earlier and is still there.
    pub(crate) fn find(&self, commit: &Hash, selection: &Selection) -> Option<Tree> {
        let found = match self {
            Self::Link(layout) => layout.tree(commit),
            Self::Projected(layout) => layout.first_tree(commit),
        };
        Some(found).filter(|tree| self.is_intact(tree, selection))
    }

    /// The tree that readers see now, whole or not.
    pub(crate) fn current(&self) -> Result<Option<Tree>, PublishError> {
        match self {
            Self::Link(layout) => layout.current(),
            Self::Projected(layout) => layout.current(),
        }
    }

    /// Makes the tree of a commit and declares it whole. The tree that readers see is not touched,
    /// or changed for its repaired self in one step.
    pub(crate) async fn build(
        &self,
        git: &Git,
        mirror: &Mirror,
        commit: &Hash,
        checkout: &Checkout,
        deadline: Instant,
    ) -> Result<Tree, PublishError> {
        match self {
            Self::Link(layout) => layout.build(git, mirror, commit, checkout, deadline).await,
            Self::Projected(layout) => layout.build(git, mirror, commit, checkout, deadline).await,
        }
    }

    /// Shows a whole tree to the readers; of one that they see already, whatever is missing.
    pub(crate) fn publish(&self, tree: &Tree) -> Result<(), PublishError> {
        match self {
            Self::Link(layout) => layout.publish(tree),
            Self::Projected(layout) => layout.publish(tree),
        }
    }

    /// Where a probe finds the proof that this tree is published.
    pub(crate) fn proof(&self, tree: &Tree) -> Published {
        let (link, target) = match self {
            Self::Link(layout) => layout.link_to(tree),
            Self::Projected(layout) => layout.link_to(tree),
        };
        Published {
            commit: tree.commit.to_string(),
            link: Some(link),
            target,
            tree: tree.shown.clone(),
            marker: tree.marker.clone(),
        }
    }

    /// The directory that the trees are in.
    pub(crate) fn trees(&self) -> PathBuf {
        match self {
            Self::Link(layout) => layout.worktrees(),
            Self::Projected(layout) => layout.root(),
        }
    }

    /// The directories of trees other than the current one, foreign ones under our names included.
    pub(crate) fn others(&self, current: &Tree) -> io::Result<Vec<PathBuf>> {
        match self {
            Self::Link(layout) => layout.others(current),
            Self::Projected(layout) => layout.others(current),
        }
    }

    /// Tells whether the repository is a syncer's, whatever it looks like.
    pub(crate) fn is_surely_a_syncers(&self) -> bool {
        match self {
            Self::Link(layout) => layout.has_predecessor(),
            // It is in our own directory.
            Self::Projected(_) => true,
        }
    }

    /// Below which name the refs are that keep trees' commits, where the layout has such.
    pub(crate) fn refs(&self) -> Option<&'static str> {
        match self {
            Self::Link(_) => None,
            Self::Projected(_) => Some(projected::KEPT_REFS),
        }
    }

    /// Tells whether the tree is there that a ref keeps the commit of.
    pub(crate) fn has_tree(&self, name: &str) -> bool {
        match self {
            Self::Link(_) => true,
            Self::Projected(layout) => layout.has_tree(name),
        }
    }

    /// The ref that keeps a tree's commit from gc, where the layout has one.
    pub(crate) fn kept_ref(&self, dir: &Path) -> Option<String> {
        match self {
            // Git itself keeps what a linked worktree has checked out.
            Self::Link(_) => None,
            Self::Projected(layout) => layout.kept_ref(dir),
        }
    }

    /// Removes a tree that nobody needs.
    pub(crate) fn remove(&self, dir: &Path) -> io::Result<()> {
        match self {
            Self::Link(layout) => layout.remove(dir),
            Self::Projected(layout) => layout.remove(dir),
        }
    }
}
