//! A syncer that follows the repository in one layout, and its resource usage over time.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

use anyhow::Result;
use anyhow::bail;
use remotes::HttpServer;
use tests::contained::AT_REST;
use tests::contained::Contained;
use tests::samples::Samples;
use tests::settings;

use crate::app::App;
use crate::layout::FollowedLayout;

/// Timeout for the first sync, or for a moment between two passes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A running syncer and its app.
pub(crate) struct Follower {
    layout: &'static str,
    program: Contained,
    /// Its directories: the root, and the state directory if separate.
    dirs: Vec<PathBuf>,
    pub(crate) app: Arc<App>,
    disk: Vec<f64>,
    memory: Vec<f64>,
}

impl Follower {
    /// Starts it and waits for the first tree.
    pub(crate) fn start(
        followed: &FollowedLayout,
        dir: &Path,
        server: &HttpServer,
    ) -> Result<Self> {
        let layout = followed.name;
        let dir = dir.join(layout);
        let (root, state) = (dir.join("root"), dir.join("state"));
        fs::create_dir_all(&dir)?;
        let authority = dir.join("ca.pem");
        fs::write(&authority, server.ca_pem())?;
        let mut command = vec![
            settings::syncer_binary().display().to_string(),
            format!("--repo={}", server.url("site.git")),
            format!("--root={}", root.display()),
            format!("--git-config=http.sslCAInfo:{}", authority.display()),
            "--period=500ms".to_owned(),
            // A reader needs some milliseconds for a tree.
            "--stale-worktree-timeout=5s".to_owned(),
            "--max-failures=-1".to_owned(),
        ];
        command.extend(followed.flags(&state));
        let tree = followed.tree(&root);
        let program = Contained::start(layout, &dir, &command)?;
        let started = Instant::now();
        while !tree.join("one").exists() {
            program.check()?;
            if started.elapsed() > TIMEOUT {
                bail!("{layout}: nothing is published\n{}", program.log());
            }
            sleep(Duration::from_millis(50));
        }
        Ok(Self {
            layout,
            program,
            dirs: vec![root, state],
            app: Arc::new(App::new(tree, followed.app)),
            disk: Vec::new(),
            memory: Vec::new(),
        })
    }

    /// Records disk usage, and memory between two passes, in MB.
    pub(crate) fn look(&mut self) -> Result<()> {
        let bytes: u64 = self.dirs.iter().map(|dir| used(dir)).sum();
        self.disk.push(bytes as f64 / 1e6);
        let started = Instant::now();
        loop {
            self.program.check()?;
            let is_at_rest = || self.program.tree.pids().len() <= AT_REST;
            if is_at_rest() {
                let memory = self.program.tree.pss();
                if is_at_rest() {
                    self.memory.push(memory);
                    return Ok(());
                }
            }
            if started.elapsed() > TIMEOUT {
                bail!("{}: it never rests\n{}", self.layout, self.program.log());
            }
            sleep(Duration::from_millis(5));
        }
    }

    /// One line about its current state.
    pub(crate) fn state(&self) -> String {
        let last = |values: &[f64]| values.last().copied().unwrap_or_default();
        let found = self.app.found();
        format!(
            "{}: {} revisions, disk {:.1} MB, memory {:.1} MB",
            self.layout,
            found.revisions.len(),
            last(&self.disk),
            last(&self.memory)
        )
    }

    /// One line about the whole run.
    pub(crate) fn summary(&self, commits: u64) -> String {
        let found = self.app.found();
        let over_time = |values: &[f64]| {
            let (early, late) = halves(values);
            let most = late.range().1.max(early.range().1);
            let (early, late) = (early.median(), late.median());
            format!(
                "{early:.1} MB in the first half, {late:.1} MB in the second, {most:.1} MB at most"
            )
        };
        format!(
            "{}: {} of {commits} revisions seen in {} readings, {} mistakes\n  disk: {}\n  memory at rest: {}",
            self.layout,
            found.revisions.len(),
            found.readings,
            found.mistakes.len(),
            over_time(&self.disk),
            over_time(&self.memory)
        )
    }

    /// Violations: incomplete trees, and growth of disk usage or memory.
    pub(crate) fn mistakes(&self, commits: u64) -> Vec<String> {
        let found = self.app.found();
        let mut mistakes = found.mistakes;
        mistakes.truncate(10);
        let seen = found.revisions.len() as u64;
        if seen * 2 < commits {
            mistakes.push(format!("only {seen} of {commits} revisions were seen"));
        }
        // Within half of the run, a leak adds more than the share by which git's packing rhythm
        // varies the usage, and more than the 10 MiB of garbage up to which nothing is packed.
        for (what, values, slack) in [("disk", &self.disk, 11.0), ("memory", &self.memory, 0.5)] {
            let (early, late) = halves(values);
            let (early, late) = (early.median(), late.median());
            if late > early * 1.25 + slack {
                mistakes.push(format!("{what} grows: {early:.1} MB, then {late:.1} MB"));
            }
        }
        let layout = self.layout;
        let named = mistakes.into_iter();
        named
            .map(|mistake| format!("{layout}: {mistake}"))
            .collect()
    }
}

fn halves(values: &[f64]) -> (Samples, Samples) {
    let (early, late) = values.split_at(values.len() / 2);
    let samples = |values: &[f64]| {
        let mut samples = Samples::default();
        values.iter().for_each(|&value| samples.push(value));
        samples
    };
    (samples(early), samples(late))
}

/// Disk usage in bytes of a directory tree; files that disappear meanwhile count as zero.
fn used(dir: &Path) -> u64 {
    let entries = || -> io::Result<Vec<PathBuf>> {
        fs::read_dir(dir)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect()
    };
    let entries = entries().unwrap_or_default();
    let of = |path: PathBuf| match path.symlink_metadata() {
        Ok(data) if data.is_dir() => data.blocks() * 512 + used(&path),
        Ok(data) => data.blocks() * 512,
        Err(_) => 0,
    };
    entries.into_iter().map(of).sum()
}
