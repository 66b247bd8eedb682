use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use tempfile::TempDir;

use crate::git;

/// The branch that a new repository's `HEAD` names.
const DEFAULT_BRANCH: &str = "main";

/// A bare repository for commits without a checkout.
#[derive(Debug)]
pub struct Repo {
    dir: PathBuf,
    /// Each commit is a second newer than the one before, so no two are equal.
    clock: AtomicU64,
    _temporary: Option<TempDir>,
}

impl Repo {
    /// Creates an empty repository in its own temporary directory.
    pub fn new() -> Self {
        let temporary = TempDir::with_prefix("repo-").expect("a temporary directory");
        let mut repo = Self::in_dir(temporary.path(), "site.git");
        repo._temporary = Some(temporary);
        repo
    }

    /// Creates an empty repository called `name` below a directory of the caller.
    pub fn in_dir(dir: &Path, name: &str) -> Self {
        let dir = dir.join(name);
        let repo = Self {
            dir,
            clock: AtomicU64::new(1_700_000_000),
            _temporary: None,
        };
        let init = git()
            .args(["init", "--quiet", "--bare"])
            .arg(format!("--initial-branch={DEFAULT_BRANCH}"))
            .arg(&repo.dir)
            .status()
            .expect("git: apt-get install git");
        assert!(init.success(), "git init {}: {init}", repo.dir.display());
        repo
    }

    /// Path of the repository.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Its `file://` address.
    pub fn url(&self) -> String {
        format!("file://{}", self.dir.display())
    }

    /// Starts a commit on top of the default branch.
    pub fn commit(&self) -> Commit<'_> {
        Commit {
            repo: self,
            branch: DEFAULT_BRANCH.to_owned(),
            parent: None,
            changes: Vec::new(),
        }
    }

    /// Points a branch at a commit; creates or moves it.
    pub fn branch(&self, name: &str, commit: &str) {
        self.run(&["update-ref", &format!("refs/heads/{name}"), commit]);
    }

    /// Removes a branch.
    pub fn remove_branch(&self, name: &str) {
        self.run(&["update-ref", "-d", &format!("refs/heads/{name}")]);
    }

    /// Points a lightweight tag at a commit; creates or moves it.
    pub fn tag(&self, name: &str, commit: &str) {
        self.run(&["tag", "--force", name, commit]);
    }

    /// Creates an annotated tag, or replaces it; returns the tag object's hash.
    pub fn annotated_tag(&self, name: &str, commit: &str) -> String {
        self.run(&[
            "tag",
            "--force",
            "--annotate",
            "--message=tag",
            name,
            commit,
        ]);
        self.run(&["rev-parse", &format!("refs/tags/{name}")])
    }

    /// Removes a tag.
    pub fn remove_tag(&self, name: &str) {
        self.run(&["tag", "--delete", name]);
    }

    /// Sets the branch of `HEAD`.
    pub fn set_head(&self, branch: &str) {
        self.run(&["symbolic-ref", "HEAD", &format!("refs/heads/{branch}")]);
    }

    /// Runs a git command in the repository and returns its standard output.
    pub fn run(&self, args: &[&str]) -> String {
        let output = git()
            .arg("--git-dir")
            .arg(&self.dir)
            .args(args)
            .output()
            .expect("git: apt-get install git");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {args:?}: {stderr}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Default for Repo {
    fn default() -> Self {
        Self::new()
    }
}

/// A commit under construction; [`Commit::push`] creates it.
#[derive(Debug)]
#[must_use = "nothing is committed before push()"]
pub struct Commit<'a> {
    repo: &'a Repo,
    branch: String,
    parent: Option<String>,
    changes: Vec<u8>,
}

impl Commit<'_> {
    /// Commits to this branch instead; creates it if needed.
    pub fn on(mut self, branch: &str) -> Self {
        branch.clone_into(&mut self.branch);
        self
    }

    /// Sets the parent commit instead of the branch's head, to rewind or force a branch.
    pub fn from(mut self, parent: &str) -> Self {
        self.parent = Some(parent.to_owned());
        self
    }

    /// Writes a file.
    pub fn write(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry("100644", path, content.as_ref())
    }

    /// Writes an executable file.
    pub fn write_executable(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry("100755", path, content.as_ref())
    }

    /// Writes a symlink.
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.entry("120000", path, target.as_bytes())
    }

    /// Adds the commit of another repository as a submodule; the caller writes `.gitmodules`.
    pub fn submodule(mut self, path: &str, commit: &str) -> Self {
        self.changes
            .extend_from_slice(format!("M 160000 {commit} {path}\n").as_bytes());
        self
    }

    /// Removes a file or a directory.
    pub fn remove(mut self, path: &str) -> Self {
        self.changes
            .extend_from_slice(format!("D {path}\n").as_bytes());
        self
    }

    fn entry(mut self, mode: &str, path: &str, content: &[u8]) -> Self {
        let head = format!("M {mode} inline {path}\ndata {}\n", content.len());
        self.changes.extend_from_slice(head.as_bytes());
        self.changes.extend_from_slice(content);
        self.changes.push(b'\n');
        self
    }

    /// Creates the commit and returns its hash. It is one `git fast-import`, so a reader of the
    /// branch sees either the old commit or the new one.
    pub fn push(self) -> String {
        let name = format!("refs/heads/{}", self.branch);
        let exists = || {
            let listed = self
                .repo
                .run(&["for-each-ref", "--format=%(refname)", &name]);
            listed == name
        };
        let parent = match &self.parent {
            Some(parent) => format!("from {parent}\n"),
            None if exists() => format!("from {name}^0\n"),
            None => String::new(),
        };
        let time = self.repo.clock.fetch_add(1, Ordering::Relaxed);
        let mut stream = format!(
            "commit {name}\nmark :1\ncommitter author <author@example.com> {time} +0000\n\
             data 6\ncommit\n{parent}"
        )
        .into_bytes();
        stream.extend_from_slice(&self.changes);
        stream.extend_from_slice(b"\nget-mark :1\ndone\n");
        let mut child = git()
            .arg("--git-dir")
            .arg(&self.repo.dir)
            .args(["fast-import", "--quiet", "--force", "--done"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("git: apt-get install git");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(&stream).expect("git fast-import reads");
        drop(stdin);
        let output = child.wait_with_output().expect("git fast-import ends");
        assert!(
            output.status.success(),
            "git fast-import: {}",
            output.status
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
