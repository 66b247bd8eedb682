//! The layout of real directories and files: `root/tree`, which consumers mount, and
//! `root/.gitvolume` beside it with the syncer's own files.
//!
//! The tree as a whole changes file by file. A new revision is staged beside the tree; then each
//! file is moved by one rename, so that a file that both revisions have is never missing or
//! partial. A journal is written before the first rename: after a crash, the next start finishes
//! the change from the staged files, without the remote.

mod journal;
mod known;
mod replace;
mod staging;

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use args::Subdir;
use args::paths;

use crate::git::Hash;
use crate::git::Repository;
use crate::repo::publish::error::PublishError;
use crate::repo::publish::files::journal::Journal;
use crate::repo::publish::files::staging::Stage;
use crate::repo::publish::layout::Building;
use crate::repo::publish::layout::Layout;
use crate::repo::status::View;
use crate::system::files;
use crate::tree;
use crate::tree::Tree;
use crate::tree::manifest::Manifest;
use crate::tree::selection::Checkout;
use crate::tree::selection::Selection;

/// The directory of the syncer's own files, beside the tree on the same file system.
const OWN: &str = ".gitvolume";

/// The prefix of the refs that keep the commits of published trees from gc.
const KEPT_REFS: &str = "refs/gitvolume/trees";

/// Files of the published tree in the syncer's own directory.
const MARKER: &str = "tree.whole";
const INDEX: &str = "tree.index";
const REQUEST: &str = "tree.request";

/// The directory with one empty file per commit that a ref keeps.
const KEPT: &str = "kept";

/// The files layout below one root.
#[derive(Clone)]
pub(crate) struct FilesLayout {
    tree: PathBuf,
    own: PathBuf,
    git_dir: PathBuf,
    /// The subdirectory that is published; `None` publishes the whole tree.
    subdir: Option<Subdir>,
    /// The address and the ref: a one-time run keeps the tree of the same request.
    request: String,
}

impl FilesLayout {
    pub(super) fn new(root: &Path, state: &Path, subdir: Option<Subdir>, request: String) -> Self {
        Self {
            tree: root.join(paths::TREE),
            own: root.join(OWN),
            git_dir: state.join("repo"),
            subdir,
            request,
        }
    }

    fn kept(&self) -> PathBuf {
        self.own.join(KEPT)
    }

    /// The commit of the published tree, complete or not.
    fn published(&self) -> Option<Hash> {
        let marker = fs::read(self.own.join(MARKER)).ok()?;
        tree::commit_of(&marker)
    }

    /// Finishes a change that was begun: from its own files, without git and the remote.
    fn finish(&self) -> io::Result<()> {
        let Some(journal) = Journal::read(&self.own)? else {
            return Ok(());
        };
        let manifest = self.own.join(MARKER).with_extension("manifest");
        let next = self.own.join(staging::NEXT);
        let is_finished = match Manifest::read_any(&next) {
            Some(after) => {
                let before = Manifest::read_any(&manifest);
                let staged = self.own.join(staging::STAGING);
                // Not earlier: an empty directory beside a marker would be taken for a tree.
                files::make_dir(&self.tree)?;
                replace::replace(&staged, &self.tree, before.as_ref(), &after)?;
                files::rename(&next, &manifest)?;
                true
            }
            // It was renamed already, or the machine lost it.
            None => !next.exists(),
        };
        if self.own.join(staging::NEXT_INDEX).exists() {
            files::rename(&self.own.join(staging::NEXT_INDEX), &self.own.join(INDEX))?;
        }
        let request = self.own.join(REQUEST);
        files::write_atomic(&request, journal.request.as_bytes(), files::PLAIN_MODE)?;
        let marker = self.own.join(MARKER);
        // An empty marker would lose the commit, from which the tree can be repaired.
        let text = match is_finished {
            true => journal.marker,
            false => tree::unverified(&journal.marker)?,
        };
        files::write_atomic(&marker, text.as_bytes(), files::PLAIN_MODE)?;
        Journal::close(&self.own)?;
        files::remove_any(&self.own.join(staging::STAGING))
    }

    fn io(&self, source: io::Error) -> PublishError {
        PublishError::Io {
            path: self.tree.clone(),
            source,
        }
    }
}

impl Layout for FilesLayout {
    fn git_dir(&self) -> PathBuf {
        self.git_dir.clone()
    }

    fn trees(&self) -> PathBuf {
        self.own.clone()
    }

    fn tree_of(&self, commit: &Hash) -> Tree {
        Tree {
            commit: commit.clone(),
            dir: self.tree.clone(),
            shown: self.tree.clone(),
            git_dir: self.git_dir.clone(),
            index: self.own.join(INDEX),
            marker: self.own.join(MARKER),
        }
    }

    fn clean(&self) -> io::Result<()> {
        self.finish()?;
        let marker = self.own.join(MARKER);
        let kept = [MARKER, INDEX, REQUEST, KEPT].map(|name| self.own.join(name));
        for name in files::names_in(&self.own)? {
            let path = self.own.join(name);
            if !kept.contains(&path) && path != marker.with_extension("manifest") {
                files::remove_any(&path)?;
            }
        }
        let published = self.published();
        for name in files::names_in(&self.kept())? {
            if published.as_ref().map(Hash::as_str) != name.to_str() {
                files::remove_any(&self.kept().join(name))?;
            }
        }
        Ok(())
    }

    fn current(&self) -> Result<Option<Tree>, PublishError> {
        if Journal::is_open(&self.own) {
            return Ok(None);
        }
        Ok(self.published().map(|commit| self.tree_of(&commit)))
    }

    fn build<'a>(
        &'a self,
        git: Repository<'a>,
        commit: &'a Hash,
        checkout: &'a Checkout,
    ) -> Building<'a> {
        Box::pin(async move {
            // Otherwise the staged files of a failed change would be lost.
            let layout = self.clone();
            files::blocking(move || layout.finish())
                .await
                .map_err(|source| self.io(source))?;
            let current = self.current()?;
            let kept_ref = format!("{KEPT_REFS}/{commit}");
            git.update_refs(&["HEAD", &kept_ref], commit).await?;
            let tree = self.tree_of(commit);
            let stage = Stage {
                own: self.own.clone(),
                tree: self.tree.clone(),
                manifest: tree.manifest(),
                subdir: self.subdir.clone(),
            };
            let (made, kept) = (self.clone(), self.kept().join(commit.as_str()));
            files::blocking(move || {
                files::make_dir(&made.kept())?;
                files::write_atomic(&kept, b"", files::PLAIN_MODE)
            })
            .await
            .map_err(|source| self.io(source))?;
            stage.fill(git, commit, checkout, current.as_ref()).await?;
            let journal = Journal {
                request: self.request.clone(),
                marker: tree
                    .marker_text(&checkout.selection)
                    .map_err(|source| self.io(source))?,
            };
            journal
                .prepare(&self.own)
                .map_err(|source| self.io(source))?;
            Ok(tree)
        })
    }

    fn publish(&self, tree: &Tree) -> Result<(), PublishError> {
        let publish = || {
            let prepared = Journal::prepared(&self.own)?;
            let is_wanted = |journal: &Journal| journal.commit().as_ref() == Some(&tree.commit);
            if prepared.is_some_and(|journal| is_wanted(&journal)) {
                Journal::open(&self.own)?;
            }
            self.finish()
        };
        publish().map_err(|source| self.io(source))
    }

    fn is_shown(&self, tree: &Tree) -> bool {
        self.has_expected_links(tree) && self.published().as_ref() == Some(&tree.commit)
    }

    fn has_expected_links(&self, _tree: &Tree) -> bool {
        !Journal::is_open(&self.own)
    }

    fn find(&self, commit: &Hash, selection: &Selection) -> Option<Tree> {
        let tree = Some(self.tree_of(commit)).filter(|tree| self.is_shown(tree))?;
        self.is_intact(&tree, selection).then_some(tree)
    }

    /// Trees replace each other in place; of the others only the commits are kept for a while.
    fn others(&self, current: &Tree) -> io::Result<Vec<PathBuf>> {
        let kept = files::names_in(&self.kept())?.into_iter();
        let others = kept.filter(|name| name.to_str() != Some(current.commit.as_str()));
        Ok(others.map(|name| self.kept().join(name)).collect())
    }

    fn remove(&self, dir: &Path) -> io::Result<()> {
        files::remove_any(dir)
    }

    /// The repository is in the syncer's own directory.
    fn owns_git_dir(&self) -> bool {
        true
    }

    fn refs(&self) -> Option<&'static str> {
        Some(KEPT_REFS)
    }

    fn has_tree(&self, name: &str) -> bool {
        let commit = name.strip_prefix(KEPT_REFS).unwrap_or_default();
        self.kept().join(commit.trim_start_matches('/')).is_file()
    }

    fn kept_ref(&self, dir: &Path) -> Option<String> {
        let commit = dir.file_name()?.to_str()?;
        Some(format!("{KEPT_REFS}/{commit}"))
    }

    fn is_of_request(&self) -> bool {
        let found = fs::read_to_string(self.own.join(REQUEST));
        found.is_ok_and(|found| found == self.request)
    }

    fn is_comparable(&self) -> bool {
        self.subdir.is_none()
    }

    fn view(&self, _tree: &Tree) -> View {
        View::Files {
            journal: Journal::path(&self.own),
        }
    }
}
