//! How a commit becomes files: which of them, and which submodules with them.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use args::Subdir;
use args::Submodules;
use serde::Deserialize;
use serde::Serialize;
use tokio::time::Instant;

use crate::config::RepoConfig;
use crate::config::Sparse;
use crate::files;
use crate::git::Git;
use crate::git::GitError;
use crate::git::Hash;
use crate::git::command::GitCommand;
use crate::git::failure::Why;
use crate::submodules;
use crate::tree::Tree;
use crate::tree::TreeError;

/// Below this many free bytes a failed write is treated as ENOSPC.
const MIN_FREE_BYTES: u64 = 1 << 16;

/// How many paths are given to one command: its arguments have a limit.
const PATHS_PER_COMMAND: usize = 256;

/// Which of a commit's files are wanted; a tree's marker remembers it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Selection {
    pub(crate) submodules: Submodules,
    /// The patterns that choose files; none is all files.
    pub(crate) sparse: Option<String>,
    /// What is shown in place of the top; none in the marker of an older syncer.
    #[serde(default)]
    pub(crate) subdir: Option<Subdir>,
}

impl Selection {
    /// Tells whether a directory was named, and nothing else of the tree is wanted.
    fn is_subdir_alone(&self) -> bool {
        self.subdir
            .as_ref()
            .is_some_and(|subdir| self.sparse == Some(patterns_of(subdir)))
    }
}

/// How trees are made.
#[derive(Clone, Debug)]
pub(crate) struct Checkout {
    pub(crate) selection: Selection,
    /// How much history a submodule gets; zero is all.
    pub(crate) depth: u32,
}

/// Where git finds what it checks out, and where it puts it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) git_dir: &'a Path,
    pub(crate) dir: &'a Path,
    pub(crate) index: &'a Path,
}

impl Place<'_> {
    /// Begins a command here.
    pub(crate) fn command(&self, git: &Git, subcommand: &str) -> GitCommand {
        git.command(subcommand)
            .git_dir(self.git_dir)
            .work_tree(self.dir, self.index)
    }

    fn patterns(&self) -> PathBuf {
        self.git_dir.join("info").join("sparse-checkout")
    }

    /// Compares the files here with a commit, content by content, by an index that is made for it.
    /// Submodules are not looked into.
    pub(crate) async fn is_equal(
        &self,
        git: &Git,
        commit: &Hash,
        deadline: Instant,
    ) -> Result<bool, GitError> {
        self.is_equal_but_for(git, commit, &[], deadline).await
    }

    /// The same where patterns leave files out: no others may be missing.
    async fn is_equal_but_for(
        &self,
        git: &Git,
        commit: &Hash,
        left_out: &[String],
        deadline: Instant,
    ) -> Result<bool, GitError> {
        // Whatever index is there is not read, as it would tell which files to believe.
        self.command(git, "read-tree")
            .arg(commit.as_str())
            .run(deadline)
            .await?;
        let refreshed = self
            .command(git, "update-index")
            .lists_files()
            .arg("--ignore-missing")
            .arg("--refresh")
            .run(deadline)
            .await;
        match refreshed {
            // It fails where a file differs.
            Ok(_) | Err(GitError::Failed { code: Some(1), .. }) => {}
            Err(error) => return Err(error),
        }
        let differing = self
            .command(git, "diff-files")
            .lists_files()
            .arg("--ignore-submodules=dirty")
            .arg("--name-only")
            .arg("-z")
            .run(deadline)
            .await?;
        let (missing, differing): (Vec<&str>, Vec<&str>) = differing
            .split_terminator('\0')
            .partition(|path| fs::symlink_metadata(self.dir.join(path)).is_err());
        Ok(missing.iter().eq(left_out) && self.are_as_written(git, &differing, deadline).await?)
    }

    /// Compares files with what git writes for them. Where attributes convert them, git may find that
    /// a file differs which it has just written: one that is stored with CRLF and has `eol=crlf`.
    async fn are_as_written(
        &self,
        git: &Git,
        paths: &[&str],
        deadline: Instant,
    ) -> Result<bool, GitError> {
        if paths.is_empty() {
            return Ok(true);
        }
        let scratch = self.index.with_extension("written");
        let mut are_equal = remove(&scratch).await;
        for paths in paths.chunks(PATHS_PER_COMMAND) {
            if !are_equal {
                break;
            }
            self.command(git, "checkout-index")
                .arg("--quiet")
                .arg(format!("--prefix={}/", scratch.display()))
                .user_args(paths.iter().copied())
                .run(deadline)
                .await?;
            let (dir, scratch) = (self.dir.to_owned(), scratch.clone());
            let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
            let compared = files::blocking(move || {
                let mut paths = paths.iter();
                let is_same =
                    |path: &PathBuf| files::are_same(&dir.join(path), &scratch.join(path));
                Ok(paths.all(|path| is_same(path).unwrap_or(false)))
            });
            are_equal = compared.await.unwrap_or(false)
                && remove(&self.index.with_extension("written")).await;
        }
        remove(&scratch).await;
        Ok(are_equal)
    }

    /// Lists the files that patterns left out when these files were written.
    async fn left_out(&self, git: &Git, deadline: Instant) -> Result<Vec<String>, GitError> {
        let listed = self
            .command(git, "ls-files")
            .lists_files()
            .arg("-t")
            .arg("-z")
            .run(deadline)
            .await?;
        let skipped = listed
            .split_terminator('\0')
            .filter_map(|line| line.strip_prefix("S "));
        Ok(skipped.map(str::to_owned).collect())
    }
}

impl Checkout {
    /// Reads what is wanted now: the file of patterns may have changed.
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
            },
            depth: config.depth,
        })
    }

    /// Fills an empty directory with the commit's files, and describes them in a new index.
    pub(crate) async fn fill(
        &self,
        git: &Git,
        commit: &Hash,
        place: Place<'_>,
        deadline: Instant,
    ) -> Result<(), TreeError> {
        let write = || match &self.selection.sparse {
            Some(patterns) => {
                files::make_dir(&place.git_dir.join("info"))?;
                files::write_atomic(&place.patterns(), patterns.as_bytes(), files::PLAIN_MODE)
            }
            None => files::remove_any(&place.patterns()),
        };
        write().map_err(|source| TreeError::Io {
            path: place.patterns(),
            source,
        })?;
        let mut read_tree = place.command(git, "read-tree");
        if self.selection.sparse.is_some() {
            read_tree = read_tree
                .config("core.sparseCheckout", "true")
                .config("core.sparseCheckoutCone", "false");
        }
        read_tree
            .arg("-m")
            .arg("-u")
            .arg(commit.as_str())
            .run(deadline)
            .await
            .map_err(|error| blaming_the_disk(error, place.dir))?;
        if !self.has_submodules(git, commit, place, deadline).await? {
            return Ok(());
        }
        let paths = match self.selection.is_subdir_alone() {
            // git itself takes no heed of patterns here.
            true => Some(submodules::chosen(git, place, deadline).await?),
            false => None,
        };
        submodules::update(git, place, self, paths.as_deref(), deadline).await
    }

    /// Tells whether there are submodules to check out.
    async fn has_submodules(
        &self,
        git: &Git,
        commit: &Hash,
        place: Place<'_>,
        deadline: Instant,
    ) -> Result<bool, TreeError> {
        if self.selection.submodules == Submodules::Off {
            return Ok(false);
        }
        if self.selection.sparse.is_none() {
            return Ok(place.dir.join(submodules::LIST).is_file());
        }
        // The list may be one of the files that are not wanted.
        submodules::has_list(git, place.git_dir, commit, deadline)
            .await
            .map_err(TreeError::from)
    }

    /// Compares a tree with its commit, content by content, with an index that knows nothing, its
    /// submodules included.
    pub(crate) async fn is_done(
        &self,
        git: &Git,
        tree: &Tree,
        deadline: Instant,
    ) -> Result<bool, TreeError> {
        if !tree.dir.is_dir() || !tree.git_dir.is_dir() {
            return Ok(false);
        }
        let scratch = tree.marker.with_extension("compare");
        let built = Place {
            git_dir: &tree.git_dir,
            dir: &tree.dir,
            index: &tree.index,
        };
        let top = Place {
            index: &scratch,
            ..built
        };
        let patterns = fs::read(top.patterns()).ok();
        if patterns.as_deref() != self.selection.sparse.as_ref().map(String::as_bytes) {
            return Ok(false);
        }
        let compare = async {
            let left_out = match self.selection.sparse {
                Some(_) => built.left_out(git, deadline).await?,
                None => Vec::new(),
            };
            let is_equal = top.is_equal_but_for(git, &tree.commit, &left_out, deadline);
            Ok(is_equal.await?
                && submodules::are_equal(git, &tree.commit, top, self, deadline).await?)
        };
        let is_done = match compare.await {
            // An object, the index or a submodule's repository is damaged.
            Err(error @ GitError::Failed { .. }) if error.why() != Some(Why::Exhausted) => false,
            other => other?,
        };
        files::remove_any(&scratch).map_err(|source| tree.io(source))?;
        Ok(is_done)
    }
}

/// The patterns that choose a directory with all that is in it, and nothing else.
///
/// Of what leads there each name is chosen too, without what is in it: where one of them is a
/// submodule, the directory may be in that, and a file or a symlink can be told from nothing.
fn patterns_of(subdir: &Subdir) -> String {
    let mut patterns = String::new();
    let mut path = String::new();
    for name in subdir.names() {
        if !path.is_empty() {
            patterns.push_str(&format!("!{path}/*\n"));
        }
        path.push('/');
        for c in name.chars() {
            if matches!(c, '\\' | '*' | '?' | '[' | ' ') {
                path.push('\\');
            }
            path.push(c);
        }
        patterns.push_str(&format!("{path}\n"));
    }
    patterns
}

/// Removes a scratch directory; tells whether it is gone.
async fn remove(dir: &Path) -> bool {
    let dir = dir.to_owned();
    files::blocking(move || files::remove_any(&dir))
        .await
        .is_ok()
}

/// git does not say why it could not write a file.
fn blaming_the_disk(error: GitError, dir: &Path) -> GitError {
    match error {
        GitError::Failed {
            command,
            code,
            why: None,
            detail,
        } if is_full(dir) => GitError::Failed {
            command,
            code,
            why: Some(Why::DiskFull),
            detail,
        },
        other => other,
    }
}

/// Tells whether a file system has no room for a file; what could be written of one is still there.
fn is_full(dir: &Path) -> bool {
    let space = rustix::fs::statvfs(dir);
    space.is_ok_and(|space| space.f_bavail * space.f_frsize < MIN_FREE_BYTES || space.f_favail == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directorys_patterns_name_it_and_what_leads_there() {
        for (subdir, patterns) in [
            ("public", "/public\n"),
            ("a/b/c", "/a\n!/a/*\n/a/b\n!/a/b/*\n/a/b/c\n"),
            ("a [1] *", "/a\\ \\[1]\\ \\*\n"),
        ] {
            assert_eq!(patterns_of(&subdir.parse().unwrap()), patterns);
        }
    }
}
