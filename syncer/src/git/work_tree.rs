//! A working tree and its index: one method per git command.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;

use crate::git::command::GitCommand;
use crate::git::command::GitError;
use crate::git::hash::Hash;
use crate::git::session::GITLINK;
use crate::git::session::Repository;

/// The file with the attributes of paths.
pub(crate) const ATTRIBUTES: &str = ".gitattributes";

/// The last version of git's index with uncompressed paths.
const LAST_PLAIN_INDEX: u8 = 3;

/// A working tree: its repository, directory and index.
#[derive(Clone, Copy)]
pub(crate) struct WorkTree<'a> {
    pub(crate) repository: Repository<'a>,
    pub(crate) dir: &'a Path,
    pub(crate) index: &'a Path,
}

impl<'a> Repository<'a> {
    /// The files in a directory, with their index.
    pub(crate) fn work_tree(self, dir: &'a Path, index: &'a Path) -> WorkTree<'a> {
        WorkTree {
            repository: self,
            dir,
            index,
        }
    }
}

impl WorkTree<'_> {
    fn command(&self, subcommand: &str, args: &[&str]) -> GitCommand {
        let command = self.repository.command(subcommand, args);
        command.work_tree(self.dir, self.index)
    }

    /// The sparse-checkout file.
    pub(crate) fn patterns(&self) -> PathBuf {
        self.repository.git_dir.join("info").join("sparse-checkout")
    }

    /// Writes a commit's files into an empty directory and creates their index: all files, or those
    /// that match the patterns.
    pub(crate) async fn read_tree_update(
        &self,
        commit: &Hash,
        is_sparse: bool,
    ) -> Result<(), GitError> {
        let mut read = self.command("read-tree", &["-m", "-u", commit.as_str()]);
        if is_sparse {
            read = read
                .config("core.sparseCheckout", "true")
                .config("core.sparseCheckoutCone", "false");
        }
        read.finish().await
    }

    /// Replaces the index of another commit by that of this commit; entries of unchanged files keep
    /// their metadata, and no file is written.
    pub(crate) async fn read_tree_index(&self, commit: &Hash) -> Result<(), GitError> {
        let read = self.command("read-tree", &["-m", commit.as_str()]);
        of_private_index(read).finish().await
    }

    /// The same, and writes the files that differ between the two commits, of which none may exist.
    /// The other files are neither read nor written.
    pub(crate) async fn read_tree_changed(&self, commit: &Hash) -> Result<(), GitError> {
        let read = self.command("read-tree", &["-m", "-u", commit.as_str()]);
        of_private_index(read).finish().await
    }

    /// Writes these files of the index and notes their metadata in it; other files are not looked
    /// at.
    pub(crate) async fn checkout_index_paths(&self, paths: &[PathBuf]) -> Result<(), GitError> {
        let write = self.command("checkout-index", &["--quiet", "-u", "-z", "--stdin"]);
        of_private_index(write)
            .input(path_list(paths))
            .finish()
            .await
    }

    /// Marks paths of the index as not checked out, as sparse-checkout patterns do.
    pub(crate) async fn skip_paths(&self, paths: &[PathBuf]) -> Result<(), GitError> {
        let skip = self.command("update-index", &["--skip-worktree", "-z", "--stdin"]);
        of_private_index(skip)
            .input(path_list(paths))
            .finish()
            .await
    }

    /// Creates an index of a commit without file metadata.
    pub(crate) async fn read_tree(&self, commit: &Hash) -> Result<(), GitError> {
        self.command("read-tree", &[commit.as_str()]).finish().await
    }

    /// Compares the files with the index, by content if the index has no metadata of them.
    pub(crate) async fn update_index_refresh(&self) -> Result<(), GitError> {
        let refresh = self.command("update-index", &["--ignore-missing", "--refresh"]);
        match refresh.lists_files().run().await {
            // It exits with 1 if a file differs.
            Ok(_) | Err(GitError::Failed { code: Some(1), .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Lists the files that differ from the index or are missing.
    pub(crate) async fn diff_files(&self) -> Result<Vec<String>, GitError> {
        let args = ["--ignore-submodules=dirty", "--name-only", "-z"];
        let listed = self.command("diff-files", &args).lists_files().run();
        let listed = listed.await?;
        let paths = listed.split_terminator('\0');
        Ok(paths.map(str::to_owned).collect())
    }

    /// Writes files of the index to another directory, at most `PATHS_PER_COMMAND`.
    pub(crate) async fn checkout_index(&self, to: &Path, paths: &[String]) -> Result<(), GitError> {
        let write = self.command("checkout-index", &["--quiet"]);
        let write = write.arg(format!("--prefix={}/", to.display()));
        write.user_args(paths).finish().await
    }

    /// Lists the files that the patterns excluded from this tree.
    pub(crate) async fn ls_files_left_out(&self) -> Result<Vec<String>, GitError> {
        let list = self.command("ls-files", &["-t", "-z"]).lists_files();
        let listed = list.run().await?;
        let lines = listed.split_terminator('\0');
        let left_out = lines.filter_map(|line| line.strip_prefix("S "));
        Ok(left_out.map(str::to_owned).collect())
    }

    /// Lists the submodules that the patterns included in this tree.
    pub(crate) async fn ls_files_submodules(&self) -> Result<Vec<String>, GitError> {
        let list = self.command("ls-files", &["-t", "--stage", "-z"]);
        let listed = list.lists_files().run().await?;
        let chosen = listed.split_terminator('\0').filter_map(chosen_submodule);
        Ok(chosen.map(str::to_owned).collect())
    }

    /// The attribute `filter` of these paths, in their order, at most `PATHS_PER_COMMAND`.
    pub(crate) async fn check_attr_filter(
        &self,
        paths: impl Iterator<Item = &Path>,
    ) -> Result<Vec<String>, GitError> {
        let check = self.command("check-attr", &["-z", "filter"]);
        let listed = check.user_args(paths).lists_files().run().await?;
        // `PATH<nul>filter<nul>VALUE<nul>` for each.
        let fields = listed.split_terminator('\0').map(str::to_owned);
        Ok(fields.skip(2).step_by(3).collect())
    }

    /// Copies the addresses of submodules from `.gitmodules` into the configuration: of all, or of
    /// those at these paths.
    pub(crate) async fn submodule_init(&self, paths: &[String]) -> Result<(), GitError> {
        let init = self.command("submodule", &["--quiet", "init"]);
        init.user_args(literal(paths)).finish().await
    }

    /// Checks out submodules, without theirs: all, or those at these paths. A depth of zero fetches
    /// their whole history.
    pub(crate) async fn submodule_update(
        &self,
        depth: u32,
        paths: &[String],
    ) -> Result<(), GitError> {
        let mut update = self.command("submodule", &["update", "--init"]);
        if depth > 0 {
            update = update.args(["--depth", &depth.to_string()]);
        }
        update.user_args(literal(paths)).finish().await
    }
}

/// Whether the tree may have a file of this name, from git's index, which is quick to read.
pub(crate) fn may_have(index: &Path, name: &str) -> bool {
    let Ok(index) = fs::read(index) else {
        return true;
    };
    let is_plain = index
        .get(7)
        .is_some_and(|version| *version <= LAST_PLAIN_INDEX);
    let name = name.as_bytes();
    !is_plain || index.windows(name.len()).any(|window| window == name)
}

/// Switches off the settings under which git would trust an index more than it must, keep a part
/// of it in another file, or continue in submodules.
fn of_private_index(command: GitCommand) -> GitCommand {
    [
        "core.fsmonitor",
        "core.ignoreStat",
        "core.splitIndex",
        "core.trustctime",
        "core.untrackedCache",
        "submodule.recurse",
    ]
    .into_iter()
    .fold(command, |command, key| command.config(key, "false"))
}

/// Pathspecs that mean exactly these paths (gitglossary, "pathspec").
fn literal(paths: &[String]) -> impl Iterator<Item = String> {
    paths.iter().map(|path| format!(":(literal){path}"))
}

/// Paths as git reads them with `-z`.
fn path_list(paths: &[PathBuf]) -> Vec<u8> {
    let path = |path: &PathBuf| [path.as_os_str().as_bytes(), b"\0"].concat();
    paths.iter().flat_map(path).collect()
}

/// Parses `TAG MODE HASH STAGE<tab>PATH`; the tag `H` means checked out.
fn chosen_submodule(line: &str) -> Option<&str> {
    let (head, path) = line.split_once('\t')?;
    let mut head = head.split(' ');
    (head.next() == Some("H") && head.next() == Some(GITLINK)).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checked_out_submodules_are_distinguished_from_others() {
        for (line, expected) in [
            ("H 160000 0123 0\ta dir/x", Some("a dir/x")),
            ("S 160000 0123 0\tx", None),
            ("H 100644 0123 0\tx", None),
        ] {
            assert_eq!(chosen_submodule(line), expected, "{line}");
        }
    }
}
