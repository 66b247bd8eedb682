//! The baseline: the git commands that git-sync runs for a commit, without git-sync.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::id;
use std::time::Instant;

use anyhow::Result;
use anyhow::ensure;
use tests::proc;
use tests::samples::Samples;

use crate::commits::COMMITS;
use crate::commits::Figures;
use crate::commits::remote::Remote;
use crate::commits::space::cache;
use crate::commits::space::space;
use crate::syncers::millis;

/// The commands of git-sync for a pass, in its order.
pub(super) struct GitCommands<'a> {
    remote: &'a Remote,
    root: PathBuf,
}

impl<'a> GitCommands<'a> {
    /// Runs the first sync.
    pub(super) fn start(remote: &'a Remote, dir: &Path, figures: &mut Figures) -> Result<Self> {
        let root = dir.join("root");
        fs::create_dir(&root)?;
        let this = Self { remote, root };
        let before = children_cpu()?;
        this.git(&["init", "-q", "-b", "git-sync"])?;
        this.fetch_and_publish(None)?;
        figures.first.push(children_cpu()? - before);
        Ok(this)
    }

    pub(super) fn follow(&self, figures: &mut Figures) -> Result<()> {
        let mut took = Samples::default();
        let mut total = 0.0;
        for _ in 0..COMMITS {
            self.remote.commit();
            let old = self.published()?;
            let before = children_cpu()?;
            took.push(self.fetch_and_publish(Some(&old))?);
            self.remove(&old)?;
            total += children_cpu()? - before;
        }
        figures.took.push(took.median());
        figures.cpu.push(total / COMMITS as f64);
        self.remote.commit();
        let old = self.published()?;
        let before = space(&[&self.root])?;
        self.fetch_and_publish(Some(&old))?;
        figures.space.push(space(&[&self.root])? - before);
        figures.cache.push(cache(&[&old, &self.published()?])?);
        Ok(())
    }

    /// Returns the time to the publication, in ms.
    fn fetch_and_publish(&self, old: Option<&Path>) -> Result<f64> {
        let began = Instant::now();
        let url = self.remote.repo.url();
        self.git(&["rev-parse", "--show-toplevel"])?;
        self.git(&["fsck", "--no-progress", "--connectivity-only"])?;
        let fetch = [
            "--verbose",
            "--no-progress",
            "--prune",
            "--no-auto-gc",
            "--depth=1",
        ];
        let fetch = [&["fetch", &url, "HEAD"][..], &fetch].concat();
        self.git(&fetch)?;
        let hash = self.git(&["rev-parse", "FETCH_HEAD^{}"])?;
        if let Some(old) = old {
            let old = old.display().to_string();
            self.git(&["-C", &old, "rev-parse", "HEAD"])?;
            self.git(&["-C", &old, "fsck", "--no-progress", "--connectivity-only"])?;
        }
        let tree = self.root.join(".worktrees").join(&hash);
        let path = tree.display().to_string();
        self.git(&["reset", "-q", "--soft", &hash, "--"])?;
        let add = [
            "worktree",
            "add",
            "-q",
            "--force",
            "--detach",
            &path,
            &hash,
            "--no-checkout",
        ];
        self.git(&add)?;
        self.git(&["-C", &path, "reset", "-q", "--hard", &hash, "--"])?;
        let link = self.root.join("tmp-link");
        symlink(format!(".worktrees/{hash}"), &link)?;
        fs::rename(link, self.root.join("site"))?;
        Ok(millis(began.elapsed()))
    }

    fn published(&self) -> Result<PathBuf> {
        Ok(fs::canonicalize(self.root.join("site"))?)
    }

    fn remove(&self, old: &Path) -> Result<()> {
        // A process of its own, so that its CPU is counted.
        run("rm", &["-rf", &old.display().to_string()])?;
        self.git(&["worktree", "prune", "--verbose"])?;
        self.git(&["reflog", "expire", "--expire-unreachable=all", "--all"])?;
        self.git(&["gc", "--quiet"])?;
        Ok(())
    }

    fn git(&self, args: &[&str]) -> Result<String> {
        let root = self.root.display().to_string();
        let settings = ["-c", "gc.autoDetach=false", "-c", "gc.pruneExpire=now"];
        run("git", &[&["-C", &root][..], &settings, args].concat())
    }
}

fn run(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program).args(args).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {args:?}: {errors}");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// CPU time of all ended children of this process, in ms.
fn children_cpu() -> Result<f64> {
    Ok(millis(proc::cpu(id())?.children))
}
