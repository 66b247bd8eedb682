//! The programs that follow the repository.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use nix::sys::signal::Signal;
use tests::contained::AT_REST;
use tests::contained::Contained;
use tests::samples::Samples;
use tests::settings;

use crate::commits::COMMITS;
use crate::commits::Figures;
use crate::commits::git_commands::GitCommands;
use crate::commits::remote::Remote;
use crate::commits::remote::STAMP;
use crate::commits::space::cache;
use crate::commits::space::space;
use crate::syncers::millis;

/// The timeout of a publication.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The program that follows the repository.
#[derive(Clone)]
pub(super) enum Follower {
    /// This syncer with linked trees in the projected layout.
    Linked,
    /// This syncer with the files layout.
    Files,
    /// This syncer with separate trees in the link layout.
    Separate,
    /// The git commands of git-sync, without git-sync.
    GitCommands,
    /// git-sync.
    GitSync(PathBuf),
}

impl Follower {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Linked => "linked trees",
            Self::Files => "files layout",
            Self::Separate => "separate trees",
            Self::GitCommands => "git commands",
            Self::GitSync(_) => "git-sync",
        }
    }

    /// The flags of the layout. The webhook passes the same for a mount that is only read.
    fn layout(&self, dir: &Path) -> Vec<String> {
        let state = format!("--state={}", dir.join("state").display());
        match self {
            Self::Linked => vec!["--layout=projected".into(), state, "--link-trees".into()],
            Self::Files => vec!["--layout=files".into(), state],
            Self::Separate | Self::GitCommands | Self::GitSync(_) => vec!["--link=site".into()],
        }
    }

    /// The path of the published files below the root.
    fn shown(&self) -> &'static str {
        match self {
            Self::Linked => "..data",
            Self::Files => "tree",
            Self::Separate | Self::GitCommands | Self::GitSync(_) => "site",
        }
    }

    pub(super) fn measure(&self, remote: &Remote, dir: &Path, figures: &mut Figures) -> Result<()> {
        match self {
            Self::GitCommands => GitCommands::start(remote, dir, figures)?.follow(figures),
            Self::GitSync(program) => self.measure_program(program, remote, dir, figures),
            Self::Linked | Self::Files | Self::Separate => {
                self.measure_program(&settings::syncer_binary(), remote, dir, figures)
            }
        }
    }

    /// Starts a program, makes commits, and sends it a signal for each.
    fn measure_program(
        &self,
        program: &Path,
        remote: &Remote,
        dir: &Path,
        figures: &mut Figures,
    ) -> Result<()> {
        let root = dir.join("root");
        let shown = root.join(self.shown());
        let start = |keeps: &str| {
            let mut command = vec![
                program.display().to_string(),
                format!("--repo={}", remote.repo.url()),
                format!("--root={}", root.display()),
                "--depth=1".to_owned(),
                "--period=1h".to_owned(),
                "--sync-on-signal=SIGHUP".to_owned(),
                format!("--stale-worktree-timeout={keeps}"),
            ];
            command.extend(self.layout(dir));
            let running = Contained::start(self.name(), dir, &command)?;
            await_published(&running, &shown, remote)?;
            Ok::<_, anyhow::Error>(running)
        };
        let running = start("0s")?;
        let after_first = await_rest(&running)?;
        figures.first.push(after_first);
        let mut took = Samples::default();
        for _ in 0..COMMITS {
            remote.commit();
            let began = Instant::now();
            running.signal(Signal::SIGHUP)?;
            await_published(&running, &shown, remote)?;
            took.push(millis(began.elapsed()));
            await_rest(&running)?;
        }
        figures.took.push(took.median());
        let after = await_rest(&running)?;
        figures.cpu.push((after - after_first) / COMMITS as f64);
        drop(running);
        // The first commit after a start writes all files, so the second one is measured.
        let running = start("1h")?;
        let follow = || {
            remote.commit();
            running.signal(Signal::SIGHUP)?;
            await_published(&running, &shown, remote)?;
            await_rest(&running)?;
            Ok::<_, anyhow::Error>(fs::canonicalize(&shown)?)
        };
        let old = follow()?;
        let before = space(&[dir])?;
        let new = follow()?;
        figures.space.push(space(&[dir])? - before);
        figures.cache.push(cache(&[&old, &new])?);
        Ok(())
    }
}

fn await_published(running: &Contained, shown: &Path, remote: &Remote) -> Result<()> {
    let began = Instant::now();
    let stamp = shown.join(STAMP);
    while !fs::read_to_string(&stamp).is_ok_and(|now| now == remote.stamp()) {
        running.check()?;
        if began.elapsed() > TIMEOUT {
            bail!("not published: {}\n{}", remote.stamp(), running.log());
        }
        sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Waits until no git runs; returns the CPU time so far, in ms.
fn await_rest(running: &Contained) -> Result<f64> {
    let began = Instant::now();
    let mut quiet = 0;
    // Between two commands of a pass there is a moment without a process.
    while quiet < 20 {
        quiet = match running.tree.pids().len() <= AT_REST {
            true => quiet + 1,
            false => 0,
        };
        ensure!(
            began.elapsed() < TIMEOUT,
            "it never rests\n{}",
            running.log()
        );
        sleep(Duration::from_millis(10));
    }
    Ok(millis(running.tree.cpu()?.total()))
}
