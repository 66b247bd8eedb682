use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use anyhow::Context;
use anyhow::ensure;

/// The demo's repository: a checkout for commits; the git host serves its `.git`.
pub(super) struct Repository {
    checkout: PathBuf,
    host_root: PathBuf,
}

impl Repository {
    /// Its name on the host.
    pub(super) const NAME: &'static str = "site.git";

    pub(super) fn create(world: &Path) -> anyhow::Result<Self> {
        let host_root = world.join("host");
        let repository = Self {
            checkout: world.join("site"),
            host_root: host_root.clone(),
        };
        std::fs::create_dir(&host_root)?;
        std::fs::create_dir(&repository.checkout)?;
        let mut init = repository.git();
        // The host serves this repository itself, so a commit needs no push.
        init.args(["init", "--quiet", "--initial-branch=main"])
            .arg(format!(
                "--separate-git-dir={}",
                host_root.join(Self::NAME).display()
            ));
        run(&mut init)?;
        // Commits by hand need no identity of the user.
        run(repository
            .git()
            .args(["config", "user.name", "gitvolume demo"]))?;
        run(repository
            .git()
            .args(["config", "user.email", "demo@gitvolume.dev"]))?;
        repository.commit_page("Hello from a git repository.")?;
        Ok(repository)
    }

    /// The directory that the host serves.
    pub(super) fn host_root(&self) -> &Path {
        &self.host_root
    }

    /// Commits a page and returns the short name of the commit.
    pub(super) fn commit_page(&self, text: &str) -> anyhow::Result<String> {
        let page = format!("<!doctype html>\n<title>demo</title>\n<h1>{text}</h1>\n");
        std::fs::write(self.checkout.join("index.html"), page)?;
        run(self.git().args(["add", "index.html"]))?;
        run(self.git().args(["commit", "--quiet", "--message", text]))?;
        run(self.git().args(["rev-parse", "--short", "HEAD"]))
    }

    /// A shell command that commits a change.
    pub(super) fn how_to_commit(&self) -> String {
        let checkout = self.checkout.display();
        format!("cd {checkout} && echo '<h1>Mine</h1>' > index.html && git commit -aqm mine")
    }

    fn git(&self) -> Command {
        let mut git = git();
        git.current_dir(&self.checkout);
        git
    }
}

/// Runs `git --version`, which also checks that git works.
pub(super) fn git_version() -> anyhow::Result<String> {
    run(git().arg("version"))
}

/// A git command that ignores the user's configuration.
pub(super) fn git() -> Command {
    let mut git = Command::new("git");
    with_path_alone(&mut git)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "true")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    git
}

/// Removes the user's environment except `PATH`: settings of git, TLS or a proxy must not affect
/// the demo.
pub(super) fn with_path_alone(command: &mut Command) -> &mut Command {
    let path = std::env::vars_os().find(|(name, _)| name == "PATH");
    command.env_clear().envs(path)
}

fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().context("cannot run git")?;
    let printed = String::from_utf8_lossy(&output.stderr);
    let arguments: Vec<_> = command
        .get_args()
        .map(|text| text.to_string_lossy())
        .collect();
    ensure!(
        output.status.success(),
        "git {}: {}",
        arguments.join(" "),
        printed.trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
