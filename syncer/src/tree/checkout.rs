//! The checkout of a commit: its files and submodules.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use args::Submodules;

use crate::config::LayoutConfig;
use crate::config::RepoConfig;
use crate::config::Sparse;
use crate::git::GitError;
use crate::git::GitSession;
use crate::git::Hash;
use crate::git::WorkTree;
use crate::git::failure::FailureCause;
use crate::lfs;
use crate::lfs::Lfs;
use crate::lfs::LfsError;
use crate::remote::auth::RemoteCredentials;
use crate::system::files;
use crate::tree::Tree;
use crate::tree::TreeError;
use crate::tree::compare::is_equal;
use crate::tree::links;
use crate::tree::manifest::Manifest;
use crate::tree::selection::Checkout;
use crate::tree::selection::Selection;
use crate::tree::selection::UnchangedFiles;
use crate::tree::selection::patterns_of;
use crate::tree::sharing;
use crate::tree::submodules;
use crate::tree::submodules::CheckedOut;

/// Below this many free bytes a failed write is treated as ENOSPC.
const MIN_FREE_BYTES: u64 = 1 << 16;

impl Checkout {
    /// Reads the current selection: the file of patterns may have changed.
    pub(crate) fn wanted(config: &RepoConfig) -> Result<Self, TreeError> {
        let subdir = config.layout.subdir();
        let sparse = match &config.sparse {
            Some(Sparse::File(path)) => {
                let bytes = fs::read(path).map_err(|source| TreeError::Sparse {
                    path: path.clone(),
                    source,
                })?;
                let text = String::from_utf8(bytes).map_err(|error| TreeError::Sparse {
                    path: path.clone(),
                    source: io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()),
                })?;
                Some(text)
            }
            Some(Sparse::Patterns(patterns)) => Some(patterns.clone()),
            None => subdir.map(patterns_of),
        };
        Ok(Self {
            selection: Selection {
                submodules: config.submodules,
                sparse,
                subdir: subdir.cloned(),
                lfs: config.lfs,
                lfs_in_submodules: config.lfs && config.submodules != Submodules::Off,
            },
            depth: config.depth,
            unchanged: unchanged_of(config),
            lfs: None,
        })
    }

    /// The same with what a checkout needs to download Git LFS content.
    pub(crate) fn with_lfs(self, config: &RepoConfig, grant: &Arc<RemoteCredentials>) -> Self {
        let lfs = Lfs::of(config, grant);
        Self { lfs, ..self }
    }

    /// Creates the commit's files in an empty directory, with a new index of them: links to the
    /// unchanged files of the previous tree, or new files. Returns the manifest for the tree that
    /// follows.
    pub(crate) async fn fill(
        &self,
        tree: WorkTree<'_>,
        commit: &Hash,
        previous: Option<&Tree>,
    ) -> Result<Option<Manifest>, TreeError> {
        let path = tree.patterns();
        let write = || match &self.selection.sparse {
            Some(patterns) => {
                files::make_dir(path.parent().unwrap_or(&path))?;
                files::write_atomic(&path, patterns.as_bytes(), files::PLAIN_MODE)
            }
            None => files::remove_any(&path),
        };
        write().map_err(|source| TreeError::Io {
            path: path.clone(),
            source,
        })?;
        let manifest = self.write_files(tree, commit, previous).await;
        let manifest = manifest.map_err(|error| match error {
            TreeError::Git(error) => blaming_the_disk(error, tree.dir).into(),
            other => other,
        })?;
        let mut has_submodules = self.has_submodules(tree, commit).await?;
        // git itself ignores the patterns here.
        let mut chosen = Vec::new();
        if has_submodules && self.selection.is_subdir_alone() {
            chosen = tree.ls_files_submodules().await?;
            has_submodules = !chosen.is_empty();
        }
        if has_submodules {
            // What consumers can write to may have hooks and programs of theirs in it.
            let lender = previous.filter(|_| self.unchanged == UnchangedFiles::Linked);
            let lender = lender.map(|previous| previous.git_dir.as_path());
            let modules = submodules::update(tree, self, &chosen, lender).await?;
            for module in &modules {
                self.replace_pointers_in(tree, commit, module).await?;
            }
        } else {
            let modules = submodules::modules_of(tree.repository.git_dir);
            let removed = files::remove_blocking(&modules).await;
            removed.map_err(|source| TreeError::Io {
                path: modules,
                source,
            })?;
        }
        Ok(manifest)
    }

    async fn write_files(
        &self,
        tree: WorkTree<'_>,
        commit: &Hash,
        previous: Option<&Tree>,
    ) -> Result<Option<Manifest>, TreeError> {
        let is_sparse = self.selection.sparse.is_some();
        let io = |source| TreeError::Io {
            path: tree.dir.to_owned(),
            source,
        };
        let can_share = match self.unchanged {
            UnchangedFiles::Written => false,
            UnchangedFiles::Linked | UnchangedFiles::Kept => true,
            UnchangedFiles::Cloned => {
                let dir = tree.dir.to_owned();
                let probed = files::blocking(move || sharing::can_clone(&dir)).await;
                probed.map_err(io)?
            }
        };
        if !can_share {
            tree.read_tree_update(commit, is_sparse).await?;
            self.replace_pointers(tree, commit, None).await?;
            return Ok(None);
        }
        let settings = links::settings_of(tree.repository.git_dir).map_err(io)?;
        let linked = self
            .link_unchanged(tree, commit, previous, settings)
            .await?;
        if let Some(mut entries) = linked {
            let previous = previous.map(|previous| &previous.commit);
            let replaced = self.replace_pointers(tree, commit, previous).await?;
            entries.retain(|entry| !replaced.contains(&entry.path));
            let dir = tree.dir.to_owned();
            let stamped = files::blocking(move || links::stamped(&dir, replaced)).await;
            entries.extend(stamped.map_err(io)?);
            return Ok(Some(Manifest::new(settings, entries)));
        }
        tree.read_tree_update(commit, is_sparse).await?;
        self.replace_pointers(tree, commit, None).await?;
        let dir = tree.dir.to_owned();
        let manifest = files::blocking(move || Manifest::of_tree(settings, &dir)).await;
        manifest.map(Some).map_err(io)
    }

    /// Replaces Git LFS pointers and returns their paths. `previous` is the commit of the tree that
    /// the other files were linked from.
    async fn replace_pointers(
        &self,
        tree: WorkTree<'_>,
        commit: &Hash,
        previous: Option<&Hash>,
    ) -> Result<Vec<PathBuf>, TreeError> {
        match &self.lfs {
            Some(lfs) => Ok(lfs.fill(tree, commit, previous).await?),
            None => Ok(Vec::new()),
        }
    }

    async fn replace_pointers_in(
        &self,
        tree: WorkTree<'_>,
        commit: &Hash,
        module: &CheckedOut,
    ) -> Result<(), TreeError> {
        let Some(lfs) = &self.lfs else {
            return Ok(());
        };
        let index = module.index();
        let repository = tree.repository.session.at(&module.git_dir);
        let module = repository.work_tree(&module.dir, &index);
        let filled = lfs.fill_submodule(tree.dir, commit, module).await;
        filled.map_err(|error| match error {
            LfsError::Git(error) => TreeError::Submodules(error),
            error => error.into(),
        })
    }

    /// Whether there are submodules to check out.
    async fn has_submodules(&self, tree: WorkTree<'_>, commit: &Hash) -> Result<bool, TreeError> {
        if self.selection.submodules == Submodules::Off {
            return Ok(false);
        }
        if self.selection.sparse.is_none() {
            return Ok(tree.dir.join(submodules::LIST).is_file());
        }
        // The list may be one of the excluded files.
        let has_list = tree.repository.ls_tree_has(commit, submodules::LIST);
        Ok(has_list.await?)
    }

    /// Compares a tree, including its submodules, with its commit by content, with an index without
    /// metadata.
    pub(crate) async fn is_done(
        &self,
        git: GitSession<'_>,
        tree: &Tree,
    ) -> Result<bool, TreeError> {
        if !tree.dir.is_dir() || !tree.git_dir.is_dir() {
            return Ok(false);
        }
        let scratch = tree.marker.with_extension("compare");
        let built = tree.files(git);
        let top = WorkTree {
            index: &scratch,
            ..built
        };
        let patterns = fs::read(top.patterns()).ok();
        if patterns.as_deref() != self.selection.sparse.as_ref().map(String::as_bytes) {
            return Ok(false);
        }
        let compare = async {
            let left_out = match self.selection.sparse {
                Some(_) => built.ls_files_left_out().await?,
                None => Vec::new(),
            };
            let lfs = self.selection.lfs;
            Ok::<_, TreeError>(
                is_equal(top, &tree.commit, &left_out, lfs).await?
                    && submodules::are_equal(top, &tree.commit, self).await?,
            )
        };
        let is_done = match compare.await {
            // An object, the index or a submodule's repository is damaged.
            Err(TreeError::Git(error @ GitError::Failed { .. }))
                if error.why() != Some(FailureCause::Exhausted) =>
            {
                false
            }
            other => other?,
        };
        files::remove_any(&scratch).map_err(|source| tree.io(source))?;
        Ok(is_done && (!self.selection.lfs || lfs::is_filled(built).await?))
    }
}

fn unchanged_of(config: &RepoConfig) -> UnchangedFiles {
    let mut keys = config.git_config.iter().map(|(key, _)| key);
    if keys.any(|key| links::is_beyond_commit(key)) {
        return UnchangedFiles::Written;
    }
    match config.layout {
        LayoutConfig::Files { .. } => UnchangedFiles::Kept,
        _ if config.link_trees => UnchangedFiles::Linked,
        _ => UnchangedFiles::Cloned,
    }
}

/// Adds the likely cause: git does not report why it could not write a file.
pub(crate) fn blaming_the_disk(error: GitError, dir: &Path) -> GitError {
    match error {
        GitError::Failed {
            command,
            code,
            why: None,
            detail,
        } if is_full(dir) => GitError::Failed {
            command,
            code,
            why: Some(FailureCause::DiskFull),
            detail,
        },
        other => other,
    }
}

/// Whether a file system has no space for a file. The part that could be written still exists.
fn is_full(dir: &Path) -> bool {
    let space = rustix::fs::statvfs(dir);
    space.is_ok_and(|space| space.f_bavail * space.f_frsize < MIN_FREE_BYTES || space.f_favail == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directorys_patterns_select_it_and_its_parents() {
        for (subdir, patterns) in [
            ("public", "/public\n"),
            ("a/b/c", "/a\n!/a/*\n/a/b\n!/a/b/*\n/a/b/c\n"),
            ("a [1] *", "/a\\ \\[1]\\ \\*\n"),
        ] {
            assert_eq!(patterns_of(&subdir.parse().unwrap()), patterns);
        }
    }
}
