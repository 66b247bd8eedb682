//! Linked trees: a new tree begins with hard links to the unchanged files of the previous one, or
//! with files of its own that share their blocks.
//!
//! Only changed files are written, so a commit costs what it changes. With hard links both trees
//! have the same files, so those are only made where no consumer can write to them.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::hash::DefaultHasher;
use std::hash::Hash as _;
use std::hash::Hasher;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::git::Change;
use crate::git::ChangeKind;
use crate::git::GitError;
use crate::git::Hash;
use crate::git::WorkTree;
use crate::git::work_tree::ATTRIBUTES;
use crate::system::files;
use crate::tree::Tree;
use crate::tree::TreeError;
use crate::tree::TreeState;
use crate::tree::manifest::Entry;
use crate::tree::manifest::FileStamp;
use crate::tree::manifest::Manifest;
use crate::tree::selection::Checkout;
use crate::tree::selection::Selection;
use crate::tree::selection::UnchangedFiles;
use crate::tree::sharing;
use crate::tree::sharing::Share;
use crate::tree::sharing::Shared;
use crate::tree::submodules;

/// What is to be done with the paths of a commit.
#[derive(Debug, Default, Eq, PartialEq)]
struct LinkPlan {
    /// Paths whose files are not linked.
    changed: HashSet<PathBuf>,
    /// Changed paths that the new tree has.
    written: Vec<PathBuf>,
    /// New paths that the selection excludes.
    skipped: Vec<PathBuf>,
}

impl Checkout {
    /// Makes the files of a commit from those of the previous tree. `None` if they must all be
    /// written: nothing but directories exists then.
    pub(super) async fn link_unchanged(
        &self,
        tree: WorkTree<'_>,
        commit: &Hash,
        previous: Option<&Tree>,
        settings: u64,
    ) -> Result<Option<Vec<Entry>>, TreeError> {
        let Some(previous) = previous else {
            return Ok(None);
        };
        let Some(manifest) = self.lendable(previous, commit, settings).await? else {
            return Ok(None);
        };
        let changes = tree.repository.diff_tree(&previous.commit, commit).await?;
        let Some(plan) = plan(&manifest, changes, &self.selection) else {
            return Ok(None);
        };
        let (from, to) = (previous.dir.clone(), tree.dir.to_owned());
        let (old_index, index) = (previous.index.clone(), tree.index.to_owned());
        let how = match self.unchanged {
            UnchangedFiles::Cloned => Share::Blocks,
            _ => Share::Links,
        };
        let LinkPlan {
            changed,
            mut written,
            skipped,
        } = plan;
        let linked = files::blocking(move || {
            let has_index = files::absent_is_none(fs::hard_link(old_index, index))?.is_some();
            let linked = sharing::share_files(&from, &to, manifest.entries(), &changed, how)?;
            Ok((linked, has_index))
        });
        let (linked, has_index) = linked.await.map_err(|source| previous.io(source))?;
        let Shared {
            mut entries,
            missing,
        } = linked;
        let is_sparse = self.selection.sparse.is_some();
        let is_filled = match (has_index, is_sparse) {
            // Nobody else knows which paths the patterns exclude.
            (false, true) => false,
            // One command updates the index and writes what changed.
            (true, false) => match tree.read_tree_changed(commit).await {
                // The index is not that of the previous commit.
                Err(GitError::Failed { why: None, .. }) => false,
                read => {
                    read?;
                    if !missing.is_empty() {
                        tree.checkout_index_paths(&missing).await?;
                    }
                    written.extend(missing);
                    true
                }
            },
            (true, true) | (false, false) => {
                written.extend(missing);
                tree.read_tree_index(commit).await?;
                if !skipped.is_empty() {
                    tree.skip_paths(&skipped).await?;
                }
                if !written.is_empty() {
                    tree.checkout_index_paths(&written).await?;
                }
                true
            }
        };
        if !is_filled {
            let (dir, index) = (tree.dir.to_owned(), tree.index.to_owned());
            let emptied = files::blocking(move || {
                files::remove_any(&index)?;
                files::remove_any(&dir)?;
                files::make_dir(&dir)
            });
            emptied.await.map_err(|source| previous.io(source))?;
            return Ok(None);
        }
        let dir = tree.dir.to_owned();
        let stamped = files::blocking(move || stamped(&dir, written)).await;
        entries.extend(stamped.map_err(|source| previous.io(source))?);
        Ok(Some(entries))
    }

    /// The manifest of the previous tree; `None` if it may not lend its files to that of a commit.
    pub(crate) async fn lendable(
        &self,
        previous: &Tree,
        commit: &Hash,
        settings: u64,
    ) -> Result<Option<Manifest>, TreeError> {
        let may_lend = self.unchanged != UnchangedFiles::Written
            // A tree of the same commit is made again because something is wrong with it.
            && previous.commit != *commit
            && previous.commit.format() == commit.format()
            && previous.state(&self.selection) == TreeState::Complete;
        if !may_lend {
            return Ok(None);
        }
        let (path, of) = (previous.manifest(), previous.commit.clone());
        let manifest = files::blocking(move || Ok(Manifest::read(&path, &of)));
        let manifest = manifest.await.map_err(|source| previous.io(source))?;
        Ok(manifest.filter(|manifest| manifest.settings == settings))
    }
}

/// Decides about each path; `None` if all files must be written.
fn plan(manifest: &Manifest, changes: Vec<Change>, selection: &Selection) -> Option<LinkPlan> {
    let mut plan = LinkPlan::default();
    for Change { path, kind } in changes {
        if path.file_name() == Some(OsStr::new(ATTRIBUTES)) {
            // It may change the content of files that have not changed themselves.
            return None;
        }
        match kind {
            ChangeKind::Added => match selection.includes(&path)? {
                true => plan.written.push(path.clone()),
                false => plan.skipped.push(path.clone()),
            },
            // What the previous tree left out, this one leaves out.
            ChangeKind::Modified if manifest.stamp_of(&path).is_some() => {
                plan.written.push(path.clone());
            }
            ChangeKind::Modified | ChangeKind::Deleted => {}
        }
        plan.changed.insert(path);
    }
    let do_links_pay = plan.written.len() <= manifest.entries().len() / 2;
    do_links_pay.then_some(plan)
}

/// Reads the metadata of files that were just written.
pub(super) fn stamped(dir: &Path, paths: Vec<PathBuf>) -> io::Result<Vec<Entry>> {
    let entry = |path: PathBuf| {
        let stamp = FileStamp::read(&dir.join(&path))?;
        let stamp = stamp.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(Entry { path, stamp })
    };
    paths.into_iter().map(entry).collect()
}

/// A number that changes with the settings in the repository on which the content of a checked-out
/// file depends: git's configuration, and attributes that no commit contains.
pub(crate) fn settings_of(git_dir: &Path) -> io::Result<u64> {
    let common = submodules::common_dir(git_dir)?;
    let read = |name: &str| files::absent_is_none(fs::read_to_string(common.join(name)));
    let config = read("config")?.unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    submodules::without_submodules(&config).hash(&mut hasher);
    read("info/attributes")?.hash(&mut hasher);
    Ok(hasher.finish())
}

/// Whether a key of git's configuration lets files depend on more than the commit: on a program
/// that converts them, or on a file that may change.
pub(super) fn is_beyond_commit(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["filter.", "include.", "includeif."]
        .iter()
        .any(|section| key.starts_with(section))
        || key == "core.attributesfile"
}

#[cfg(test)]
mod tests {
    use super::*;
    use args::Submodules;

    fn changes(listed: &[(&str, ChangeKind)]) -> Vec<Change> {
        let change = |(path, kind): &(&str, ChangeKind)| Change {
            path: path.into(),
            kind: *kind,
        };
        listed.iter().map(change).collect()
    }

    fn manifest(paths: &[&str]) -> Manifest {
        let entry = |path: &&str| Entry {
            path: path.into(),
            stamp: FileStamp::default(),
        };
        Manifest::new(0, paths.iter().map(entry).collect())
    }

    fn selection(sparse: Option<&str>, subdir: Option<&str>) -> Selection {
        let subdir = subdir.map(|subdir| subdir.parse().unwrap());
        Selection {
            submodules: Submodules::Off,
            sparse: sparse
                .map(str::to_owned)
                .or_else(|| subdir.as_ref().map(crate::tree::selection::patterns_of)),
            subdir,
            lfs: false,
            lfs_in_submodules: false,
        }
    }

    #[test]
    fn each_path_is_linked_written_or_left_out() {
        use ChangeKind::Added;
        use ChangeKind::Deleted;
        use ChangeKind::Modified;
        let manifest = manifest(&["a", "d/b", "d/c", "d/d", "d/e", "d/f", "d/g", "d/h"]);
        let listed = changes(&[
            ("a", Deleted),
            ("d/b", Modified),
            ("x/new", Added),
            ("x/old", Modified),
        ]);
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        for (selection, written, skipped) in [
            (selection(None, None), vec!["d/b", "x/new"], vec![]),
            (selection(None, Some("d")), vec!["d/b"], vec!["x/new"]),
        ] {
            let plan = plan(&manifest, listed.clone(), &selection).unwrap();
            assert_eq!(plan.written, paths(&written));
            assert_eq!(plan.skipped, paths(&skipped));
            assert_eq!(plan.changed.len(), 4);
        }
    }

    #[test]
    fn all_files_are_written_if_links_could_be_wrong_or_do_not_pay() {
        use ChangeKind::Added;
        use ChangeKind::Modified;
        let manifest = manifest(&["a", "b", "c", "d"]);
        for (selection, listed) in [
            (selection(None, None), vec![("x/.gitattributes", Modified)]),
            (selection(Some("/a\n"), None), vec![("x", Added)]),
            (
                selection(None, None),
                vec![("a", Modified), ("b", Modified), ("c", Modified)],
            ),
        ] {
            assert_eq!(plan(&manifest, changes(&listed), &selection), None);
        }
        let listed = changes(&[("a", Modified)]);
        let found = plan(&manifest, listed, &selection(Some("/a\n"), None)).unwrap();
        assert_eq!(found.written, [PathBuf::from("a")]);
    }

    #[test]
    fn the_settings_are_those_of_the_whole_repository() {
        let dir = tempfile::tempdir().unwrap();
        let admin = dir.path().join("worktrees/x");
        fs::create_dir_all(&admin).unwrap();
        fs::create_dir(dir.path().join("info")).unwrap();
        fs::write(admin.join("commondir"), "../..\n").unwrap();
        let config = dir.path().join("config");
        fs::write(&config, "[core]\n").unwrap();
        let before = settings_of(&admin).unwrap();
        assert_eq!(before, settings_of(dir.path()).unwrap());
        fs::write(&config, "[core]\n[submodule \"x\"]\n\turl = y\n").unwrap();
        assert_eq!(settings_of(&admin).unwrap(), before);
        fs::write(dir.path().join("info/attributes"), "* -text\n").unwrap();
        assert_ne!(settings_of(&admin).unwrap(), before);
        assert!(is_beyond_commit("Filter.x.smudge") && is_beyond_commit("core.attributesFile"));
        assert!(!is_beyond_commit("core.autocrlf"));
    }
}
