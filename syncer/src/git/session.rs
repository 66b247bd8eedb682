//! The git program with a deadline, and in a repository: one method per git command.
//!
//! Only this module and `work_tree` build git's arguments. Values of the user or of a repository
//! follow `--`, or are in a position where they cannot be parsed as an option.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;
use std::time::SystemTime;

use args::SshAddress;
use tokio::time::Instant;

use crate::git::change::Change;
use crate::git::change::changes;
use crate::git::command::Git;
use crate::git::command::GitCommand;
use crate::git::command::GitError;
use crate::git::hash::Hash;
use crate::git::hash::ObjectFormat;
use crate::git::loose;

/// The maximum number of paths of one command, since the length of its arguments is limited.
pub(crate) const PATHS_PER_COMMAND: usize = 256;

/// The mode of a submodule in a tree.
pub(super) const GITLINK: &str = "160000";

/// The git program with a deadline.
#[derive(Clone, Copy)]
pub(crate) struct GitSession<'a> {
    git: &'a Git,
    pub(crate) deadline: Instant,
}

/// The git program in one repository.
#[derive(Clone, Copy)]
pub(crate) struct Repository<'a> {
    pub(crate) session: GitSession<'a>,
    pub(crate) git_dir: &'a Path,
}

impl Git {
    /// Starts a session; its commands are killed at the deadline.
    pub(crate) fn session(&self, deadline: Instant) -> GitSession<'_> {
        GitSession {
            git: self,
            deadline,
        }
    }
}

impl<'a> GitSession<'a> {
    /// The same session in a repository.
    pub(crate) fn at(self, git_dir: &'a Path) -> Repository<'a> {
        Repository {
            session: self,
            git_dir,
        }
    }

    /// The same session with another deadline.
    pub(crate) fn until(self, deadline: Instant) -> Self {
        Self { deadline, ..self }
    }

    fn command(&self, subcommand: &str, args: &[&str]) -> GitCommand {
        self.git.command(subcommand, self.deadline).args(args)
    }

    /// Clones a repository with all of its history.
    pub(crate) async fn clone_all(&self, url: &str, to: &Path) -> Result<(), GitError> {
        self.clone(url, to, &[]).await
    }

    /// Clones the tip of the default branch, without files.
    pub(crate) async fn clone_tip(&self, url: &str, to: &Path) -> Result<(), GitError> {
        let options = ["--bare", "--single-branch", "--no-tags", "--depth=1"];
        self.clone(url, to, &options).await
    }

    async fn clone(&self, url: &str, to: &Path, options: &[&str]) -> Result<(), GitError> {
        let clone = self.command("clone", &["--quiet"]).args(options);
        let clone = clone.current_dir(to.parent().unwrap_or(to));
        clone
            .user_args([url.as_ref(), to.as_os_str()])
            .finish()
            .await
    }

    /// Checks out a revision in a clone, as the kubelet does.
    pub(crate) async fn checkout(&self, dir: &Path, rev: &str) -> Result<(), GitError> {
        // The final `--` prevents that a file of this name is meant.
        let checkout = self.command("checkout", &["--quiet", rev, "--"]);
        checkout.current_dir(dir).finish().await?;
        let reset = self.command("reset", &["--quiet", "--hard"]);
        reset.current_dir(dir).finish().await
    }

    /// Lists the refs of a remote that a name may mean, one per line, with the targets of annotated
    /// tags.
    pub(crate) async fn ls_remote(&self, url: &str, rev: &str) -> Result<String, GitError> {
        let peeled = format!("{rev}^{{}}");
        let list = self.command("ls-remote", &[]);
        list.user_args([url, rev, &peeled]).run().await
    }

    /// Lists the tags of a remote, one per line, with the targets of annotated tags.
    pub(crate) async fn ls_remote_tags(&self, url: &str) -> Result<String, GitError> {
        ls_remote_tags(self.command("ls-remote", &[]), url).await
    }
}

impl GitSession<'_> {
    /// Asks an ssh server for the http address and a token of its Git LFS, as git would call it.
    pub(crate) async fn lfs_authenticate(&self, ssh: &SshAddress) -> Result<String, GitError> {
        let host = match &ssh.user {
            Some(user) => format!("{user}@{}", ssh.host),
            None => ssh.host.clone(),
        };
        let command = self.git.ssh_command(self.deadline);
        let command = command.args(["-p", &ssh.port.to_string()]).arg(host);
        command.arg(ssh.lfs_authenticate_command()).run().await
    }
}

impl Repository<'_> {
    /// Creates a command in the repository.
    pub(super) fn command(&self, subcommand: &str, args: &[&str]) -> GitCommand {
        self.session.command(subcommand, args).git_dir(self.git_dir)
    }

    /// Creates the repository of the directory around it.
    pub(crate) async fn init(&self, branch: &str, format: ObjectFormat) -> Result<(), GitError> {
        let init = self.command("init", &["--quiet"]);
        let init = init.arg(format!("--initial-branch={branch}"));
        // Also the usual one: a variable, a setting, or a version of git may have another default.
        let init = init.arg(format!("--object-format={format}"));
        // Started beside a directory called `.git`, it creates the repository of that directory, as
        // in git-sync; started inside, it would create a bare one.
        let beside = self.git_dir.parent().unwrap_or(self.git_dir);
        init.current_dir(beside).finish().await
    }

    /// Fetches a ref and returns the object that it names. A depth of zero fetches the whole
    /// history. `tip` is a pattern of the refs whose commits git tells the server; `None` tells it
    /// all.
    pub(crate) async fn fetch(
        &self,
        url: &str,
        rev: &str,
        depth: u32,
        filter: Option<&str>,
        tip: Option<&str>,
    ) -> Result<Hash, GitError> {
        let fetch = self.command(
            "fetch",
            &[
                "--no-progress",
                "--no-auto-gc",
                "--no-recurse-submodules",
                // A tag beside the ref is of no use, and the list of all tags may be long.
                "--no-tags",
            ],
        );
        let fetch = match depth {
            0 if self.git_dir.join("shallow").exists() => fetch.arg("--unshallow"),
            0 => fetch,
            _ => fetch.args(["--depth", &depth.to_string()]),
        };
        let filter = filter.map(|filter| format!("--filter={filter}"));
        let tip = tip.map(|tip| format!("--negotiation-tip={tip}"));
        let fetch = fetch.args(filter).args(tip);
        fetch.user_args([url, rev]).run().await?;
        // `HASH<tab>not-for-merge<tab>branch 'x' of …`
        let answer = fs::read_to_string(self.git_dir.join("FETCH_HEAD")).unwrap_or_default();
        let first = answer.split_whitespace().next().unwrap_or_default();
        let object = first.parse();
        object.map_err(|_| GitError::unexpected("git fetch", answer))
    }

    /// Replaces the address of the last fetch in `FETCH_HEAD`, which consumers may read. git does not
    /// read it again, so an error is of no consequence.
    pub(crate) fn rename_in_fetch_head(&self, from: &str, to: &str) {
        let path = self.git_dir.join("FETCH_HEAD");
        // git leaves this ending out.
        let [from, to] = [from, to].map(|url| url.trim_end_matches(".git"));
        if let Ok(text) = fs::read_to_string(&path) {
            let _ = fs::write(&path, text.replace(from, to));
        }
    }

    /// Lists the tags of a remote, one per line, with the targets of annotated tags.
    pub(crate) async fn ls_remote_tags(&self, url: &str) -> Result<String, GitError> {
        ls_remote_tags(self.command("ls-remote", &[]), url).await
    }

    /// The address that git fetches from by default, after its own `url.*.insteadOf`; the remote is
    /// not contacted.
    pub(crate) async fn ls_remote_get_url(&self) -> Result<String, GitError> {
        let url = self.command("ls-remote", &["--get-url"]).run().await?;
        Ok(url.trim_end_matches('\n').to_owned())
    }

    /// Whether a remote has any ref.
    pub(crate) async fn ls_remote_any(&self, url: &str) -> Result<bool, GitError> {
        let listed = self.command("ls-remote", &["--quiet"]).user_args([url]);
        Ok(!listed.run().await?.is_empty())
    }

    /// The commit of an object, through annotated tags, and its committer date, if it can be read.
    pub(crate) async fn rev_list_commit(
        &self,
        object: &Hash,
    ) -> Result<(Hash, Option<SystemTime>), GitError> {
        if let Some((commit, made)) = loose::commit_of(self.git_dir, object) {
            return Ok((commit, Some(made)));
        }
        let list = self.command("rev-list", &["--no-walk", "--timestamp"]);
        let answer = list.arg(format!("{object}^{{commit}}")).run().await?;
        let parsed = || {
            let (seconds, commit) = answer.trim().split_once(' ')?;
            let since = seconds.parse().map(Duration::from_secs).ok();
            let made = since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
            Some((commit.parse().ok()?, made))
        };
        parsed().ok_or_else(|| GitError::unexpected("git rev-list", answer.clone()))
    }

    /// Opens the repository and reads one of its commits.
    pub(crate) async fn rev_list_any(&self) -> Result<(), GitError> {
        self.command("rev-list", &["--max-count=1", "--all"])
            .finish()
            .await
    }

    /// The commit that is checked out; `None` for a repository without commits.
    pub(crate) async fn rev_parse_head(&self) -> Result<Option<Hash>, GitError> {
        let parse = self.command("rev-parse", &["--verify", "--quiet", "HEAD"]);
        Ok(found(parse.run().await)?.and_then(|head| head.trim().parse().ok()))
    }

    /// The type of an object's target, through annotated tags.
    pub(crate) async fn cat_file_type(&self, object: &Hash) -> Result<String, GitError> {
        let kind = self.command("cat-file", &["-t"]);
        let kind = kind.arg(format!("{object}^{{}}")).run().await?;
        Ok(kind.trim().to_owned())
    }

    /// Points refs at a commit, so that gc keeps it.
    pub(crate) async fn update_refs(&self, names: &[&str], commit: &Hash) -> Result<(), GitError> {
        let update = |name: &&str| format!("update {name} {commit}\n");
        let lines: String = names.iter().map(update).collect();
        self.command("update-ref", &["--stdin"])
            // A reflog would keep every earlier commit from gc.
            .config("core.logAllRefUpdates", "false")
            .input(lines.into_bytes())
            .finish()
            .await
    }

    /// Removes refs; a missing ref is no error.
    pub(crate) async fn delete_refs(&self, names: &[String]) -> Result<(), GitError> {
        if names.is_empty() {
            return Ok(());
        }
        let delete = |name: &String| format!("delete {name}\n");
        let lines: String = names.iter().map(delete).collect();
        self.command("update-ref", &["--stdin"])
            .input(lines.into_bytes())
            .finish()
            .await
    }

    /// Points `HEAD` at a branch.
    pub(crate) async fn symbolic_ref_head(&self, branch: &str) -> Result<(), GitError> {
        self.command("symbolic-ref", &["HEAD", branch])
            .finish()
            .await
    }

    /// Lists the refs below a name.
    pub(crate) async fn for_each_ref(&self, below: &str) -> Result<Vec<String>, GitError> {
        self.list_refs("%(refname)", Some(below)).await
    }

    /// Lists the objects that the refs name.
    pub(crate) async fn for_each_ref_object(&self) -> Result<Vec<String>, GitError> {
        if let Some(objects) = loose::ref_objects(self.git_dir) {
            return Ok(objects);
        }
        self.list_refs("%(objectname)", None).await
    }

    async fn list_refs(&self, format: &str, below: Option<&str>) -> Result<Vec<String>, GitError> {
        let list = self.command("for-each-ref", &[&format!("--format={format}")]);
        let listed = list.args(below).lists_files().run().await?;
        Ok(listed.lines().map(str::to_owned).collect())
    }

    /// The whole configuration, as `git config --list -z` prints it.
    pub(crate) async fn config_list(&self) -> Result<String, GitError> {
        self.command("config", &["--list", "-z"]).run().await
    }

    /// A key of the configuration; `None` if it is not set.
    pub(crate) async fn config_get(&self, key: &str) -> Result<Option<String>, GitError> {
        let get = self.command("config", &["--get", key]);
        Ok(found(get.run().await)?.map(|value| value.trim().to_owned()))
    }

    /// Sets a key of the repository's own configuration and replaces all its values.
    pub(crate) async fn config_set(&self, key: &str, value: &str) -> Result<(), GitError> {
        self.command("config", &["--replace-all", key, value])
            .finish()
            .await
    }

    /// The matching keys of a configuration file in a commit, each with its value.
    pub(crate) async fn config_blob(
        &self,
        commit: &Hash,
        file: &str,
        pattern: &str,
    ) -> Result<Vec<(String, String)>, GitError> {
        let blob = format!("{commit}:{file}");
        let listed = self
            .command(
                "config",
                &["--blob", &blob, "--null", "--get-regexp", pattern],
            )
            .run()
            .await?;
        let entries = listed.split_terminator('\0');
        let pairs = entries.filter_map(|entry| entry.split_once('\n'));
        Ok(pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect())
    }

    /// Whether a commit has a file, by its path from the top.
    pub(crate) async fn ls_tree_has(&self, commit: &Hash, path: &str) -> Result<bool, GitError> {
        let listed = self
            .command("ls-tree", &["--name-only", commit.as_str(), path])
            .run()
            .await?;
        Ok(!listed.is_empty())
    }

    /// The paths that differ between two commits.
    pub(crate) async fn diff_tree(&self, old: &Hash, new: &Hash) -> Result<Vec<Change>, GitError> {
        let diff = self.command("diff-tree", &["-r", "-z", "--no-renames"]);
        let diff = diff.args([old.as_str(), new.as_str()]).lists_files();
        let listed = diff.run_bytes().await?;
        changes(&listed).ok_or_else(|| {
            let answer = String::from_utf8_lossy(&listed[..listed.len().min(200)]);
            GitError::unexpected("git diff-tree", answer.into_owned())
        })
    }

    /// The submodules at these paths of a commit, each with its own commit.
    pub(crate) async fn ls_tree_gitlinks(
        &self,
        commit: &Hash,
        paths: &[&str],
    ) -> Result<BTreeMap<String, Hash>, GitError> {
        let mut gitlinks = BTreeMap::new();
        for paths in paths.chunks(PATHS_PER_COMMAND) {
            let list = self.command("ls-tree", &["--full-tree", "-z"]);
            let list = list.arg(commit.as_str()).user_args(paths);
            let listed = list.run().await?;
            gitlinks.extend(listed.split_terminator('\0').filter_map(gitlink));
        }
        Ok(gitlinks)
    }

    /// Checks that all objects exist, and optionally their contents.
    pub(crate) async fn fsck(&self, reads_contents: bool) -> Result<(), GitError> {
        let scope = (!reads_contents).then_some("--connectivity-only");
        self.command("fsck", &["--no-progress", "--no-dangling"])
            // The syncer writes neither of the two, and each check costs another process.
            .config("core.commitGraph", "false")
            .config("core.multiPackIndex", "false")
            .args(scope)
            // It prints one line per missing object; the verdict is its exit status.
            .lists_files()
            .finish()
            .await
    }

    /// Expires the reflogs of unreachable commits.
    pub(crate) async fn reflog_expire(&self) -> Result<(), GitError> {
        self.command("reflog", &["expire", "--expire-unreachable=all", "--all"])
            .finish()
            .await
    }

    /// Collects garbage if there is enough of it.
    pub(crate) async fn gc_auto(&self) -> Result<(), GitError> {
        self.command("gc", &["--quiet", "--auto"]).finish().await
    }

    /// Collects garbage and repacks everything aggressively.
    pub(crate) async fn gc_aggressive(&self) -> Result<(), GitError> {
        self.command("gc", &["--quiet", "--aggressive"])
            .finish()
            .await
    }

    /// Removes unreachable loose objects and packs all others into one pack: first what needs no
    /// space.
    pub(crate) async fn compact(&self) -> Result<(), GitError> {
        self.command("prune", &["--expire=now"]).finish().await?;
        self.command("repack", &["-a", "-d", "-l", "-q"])
            .finish()
            .await
    }
}

/// `git ls-remote` for all tags of a remote, also outside of a repository.
async fn ls_remote_tags(list: GitCommand, url: &str) -> Result<String, GitError> {
    let list = list.args(["--quiet", "--tags"]).user_args([url]);
    // A repository may have a tag per build.
    list.lists_files().run().await
}

/// The answer of a command that fails if there is none.
fn found(answer: Result<String, GitError>) -> Result<Option<String>, GitError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(GitError::Failed { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Parses `MODE TYPE HASH<tab>PATH`; `None` unless it is a submodule.
fn gitlink(entry: &str) -> Option<(String, Hash)> {
    let (head, path) = entry.split_once('\t')?;
    let mut head = head.split(' ');
    let is_gitlink = head.next() == Some(GITLINK);
    let commit = head.nth(1)?.parse().ok()?;
    is_gitlink.then(|| (path.to_owned(), commit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submodules_are_distinguished_from_files() {
        let hash = "0123456789012345678901234567890123456789";
        let (path, commit) = gitlink(&format!("160000 commit {hash}\tx/y")).unwrap();
        assert_eq!((path.as_str(), commit.as_str()), ("x/y", hash));
        assert_eq!(gitlink(&format!("100644 blob {hash}\ta")), None);
    }
}
