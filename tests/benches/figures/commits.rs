//! What a new commit costs in trees of many files, beside the git commands that git-sync runs for
//! one: on the disk of the temporary directory, and in memory.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::id;
use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use nix::sys::signal::Signal;
use remotes::Repo;
use tempfile::TempDir;
use tests::contained::AT_REST;
use tests::contained::Contained;
use tests::proc;
use tests::samples::Samples;
use tests::settings;

use crate::peers::Peers;
use crate::syncers::millis;
use crate::table::Table;
use crate::targets::Targets;
use crate::targets::Wanted;

/// The numbers of files.
const SIZES: [usize; 3] = [200, 20_000, 50_000];

const ROUNDS: usize = 5;

/// The number of commits in one round: the kernel counts CPU in ticks of 10 ms.
const COMMITS: usize = 4;

/// The timeout of a publication.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A file system in memory on every Linux machine.
const MEMORY: &str = "/dev/shm";

/// The file whose content identifies the published revision.
const STAMP: &str = "stamp";

/// The program that follows the repository.
#[derive(Clone)]
enum Follower {
    /// This syncer with linked trees.
    Linked,
    /// This syncer with separate trees.
    Separate,
    /// The git commands of git-sync, without git-sync.
    GitCommands,
    /// git-sync.
    GitSync(PathBuf),
}

/// What a program's commits have cost.
#[derive(Default)]
struct Figures {
    /// CPU per commit, in ms.
    cpu: Samples,
    /// From the start of the pass to the publication, in ms.
    took: Samples,
    /// CPU of the first sync, in ms.
    first: Samples,
    /// Disk space of one more revision that is kept, in MB.
    space: Samples,
    /// Memory of the page cache for the files of two revisions, in MB.
    cache: Samples,
}

/// Measures and prints.
pub(crate) fn print(peers: &Peers) -> Result<()> {
    let mut followers = vec![Follower::Linked, Follower::Separate];
    followers.extend(peers.git_sync.clone().map(Follower::GitSync));
    followers.push(Follower::GitCommands);
    let mut targets = Targets::new("commit", "git commands");
    for files in SIZES {
        for (place, parent) in [("disk", None), ("memory", Some(Path::new(MEMORY)))] {
            let title = format!("{files} files, 4 changed, {place}");
            let figures = measure_all(&title, &followers, files, parent)?;
            print_table(&title, &followers, &figures);
            judge(&mut targets, files, place, &figures);
        }
    }
    targets.print();
    Ok(())
}

fn measure_all(
    title: &str,
    followers: &[Follower],
    files: usize,
    parent: Option<&Path>,
) -> Result<Vec<Figures>> {
    let dir = match parent {
        Some(parent) => TempDir::with_prefix_in("figures-commits-", parent)?,
        None => TempDir::with_prefix("figures-commits-")?,
    };
    let remote = Remote::new(dir.path(), files);
    let mut figures: Vec<Figures> = followers.iter().map(|_| Figures::default()).collect();
    for round in 0..ROUNDS {
        for turn in 0..followers.len() {
            // The order alternates from round to round.
            let index = (round + turn) % followers.len();
            let follower = &followers[index];
            eprintln!(
                "{title}, round {} of {ROUNDS}: {}",
                round + 1,
                follower.name()
            );
            let place = TempDir::with_prefix_in("follower-", dir.path())?;
            follower.measure(&remote, place.path(), &mut figures[index])?;
        }
    }
    Ok(figures)
}

fn print_table(title: &str, followers: &[Follower], figures: &[Figures]) {
    let names: Vec<&str> = followers.iter().map(Follower::name).collect();
    let mut table = Table::new(&format!("new commit: {title}"), &names, true);
    let mut row = |label: &str, figure: fn(&Figures) -> &Samples| {
        let values: Vec<Samples> = figures.iter().map(|all| figure(all).clone()).collect();
        table.row(label, &values);
    };
    row("CPU per commit, ms", |figures| &figures.cpu);
    row("time to publication, ms", |figures| &figures.took);
    row("first sync: CPU, ms", |figures| &figures.first);
    row("space of a kept revision, MB", |figures| &figures.space);
    row("page cache of two revisions, MB", |figures| &figures.cache);
    table.print();
}

/// The targets of linked trees; the last follower is the baseline.
fn judge(targets: &mut Targets, files: usize, place: &str, figures: &[Figures]) {
    let (ours, baseline) = (&figures[0], &figures[figures.len() - 1]);
    let ratio = match (files, place) {
        (200, _) => 3.0,
        (_, "memory") => 1.8,
        _ => 5.0,
    };
    let what = |what: &str| format!("{files} files, {place}: {what}");
    let cpu = what("CPU ms");
    targets.line(
        &cpu,
        Wanted::Ratio(ratio),
        &ours.cpu,
        Some(baseline.cpu.clone()),
    );
    if files > 200 {
        let space = what("space MB");
        let wanted = Wanted::Ratio(50.0);
        targets.line(&space, wanted, &ours.space, Some(baseline.space.clone()));
    }
}

impl Follower {
    fn name(&self) -> &'static str {
        match self {
            Self::Linked => "linked trees",
            Self::Separate => "separate trees",
            Self::GitCommands => "git commands",
            Self::GitSync(_) => "git-sync",
        }
    }

    fn measure(&self, remote: &Remote, dir: &Path, figures: &mut Figures) -> Result<()> {
        match self {
            Self::GitCommands => GitCommands::start(remote, dir, figures)?.follow(figures),
            Self::Linked => {
                let ours = settings::syncer_binary();
                self.measure_program(&ours, &["--link-trees"], remote, dir, figures)
            }
            Self::Separate => {
                self.measure_program(&settings::syncer_binary(), &[], remote, dir, figures)
            }
            Self::GitSync(program) => self.measure_program(program, &[], remote, dir, figures),
        }
    }

    /// Starts a program, makes commits, and sends it a signal for each.
    fn measure_program(
        &self,
        program: &Path,
        flags: &[&str],
        remote: &Remote,
        dir: &Path,
        figures: &mut Figures,
    ) -> Result<()> {
        let root = dir.join("root");
        let start = |keeps: &str| {
            let mut command = vec![
                program.display().to_string(),
                format!("--repo={}", remote.repo.url()),
                format!("--root={}", root.display()),
                "--link=site".to_owned(),
                "--depth=1".to_owned(),
                "--period=1h".to_owned(),
                "--sync-on-signal=SIGHUP".to_owned(),
                format!("--stale-worktree-timeout={keeps}"),
            ];
            command.extend(flags.iter().map(|flag| (*flag).to_owned()));
            let running = Contained::start(self.name(), dir, &command)?;
            await_published(&running, &root, remote)?;
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
            await_published(&running, &root, remote)?;
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
            await_published(&running, &root, remote)?;
            await_rest(&running)?;
            Ok::<_, anyhow::Error>(fs::canonicalize(root.join("site"))?)
        };
        let old = follow()?;
        let before = space(&[dir])?;
        let new = follow()?;
        figures.space.push(space(&[dir])? - before);
        figures.cache.push(cache(&[&old, &new])?);
        Ok(())
    }
}

/// A repository on the same file system.
struct Remote {
    repo: Repo,
    files: usize,
    commits: Cell<usize>,
}

impl Remote {
    fn new(dir: &Path, files: usize) -> Self {
        let repo = Repo::in_dir(dir, "site.git");
        let mut commit = repo.commit().write(STAMP, "0");
        for file in 0..files {
            commit = commit.write(&path_of(file), content(file, 0));
        }
        commit.push();
        repo.run(&["gc", "--quiet"]);
        let commits = Cell::new(0);
        Self {
            repo,
            files,
            commits,
        }
    }

    /// Changes three files and the stamp.
    fn commit(&self) {
        let number = self.commits.get() + 1;
        self.commits.set(number);
        let mut commit = self.repo.commit().write(STAMP, self.stamp());
        for nth in 0..3 {
            let file = (number * 7919 + nth * 104_729) % self.files;
            commit = commit.write(&path_of(file), content(file, number));
        }
        commit.push();
    }

    fn stamp(&self) -> String {
        self.commits.get().to_string()
    }
}

fn path_of(file: usize) -> String {
    format!("dir-{}/sub-{}/file-{file}.txt", file / 1000, file / 50 % 20)
}

/// About two kilobytes that do not compress well.
fn content(file: usize, revision: usize) -> String {
    let mut state = (file * 1000 + revision) as u64;
    let mut line = || {
        // Knuth's linear congruential generator (MMIX).
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        format!("{state:016x}\n")
    };
    (0..120).map(|_| line()).collect()
}

fn await_published(running: &Contained, root: &Path, remote: &Remote) -> Result<()> {
    let began = Instant::now();
    let stamp = root.join("site").join(STAMP);
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

/// The disk space of directories, in MB; a file with several names counts once.
fn space(dirs: &[&Path]) -> Result<f64> {
    let mut blocks = HashMap::new();
    visit(dirs, &mut |metadata| {
        blocks.insert((metadata.dev(), metadata.ino()), metadata.blocks());
    })?;
    Ok(blocks.values().sum::<u64>() as f64 * 512.0 / 1e6)
}

/// The page cache that all files of directories need together, in MB.
fn cache(dirs: &[&Path]) -> Result<f64> {
    const PAGE: u64 = 4096;
    let mut pages = HashMap::new();
    visit(dirs, &mut |metadata| {
        if metadata.is_file() {
            let count = metadata.len().div_ceil(PAGE);
            pages.insert((metadata.dev(), metadata.ino()), count);
        }
    })?;
    Ok((pages.values().sum::<u64>() * PAGE) as f64 / 1e6)
}

fn visit(dirs: &[&Path], see: &mut impl FnMut(&fs::Metadata)) -> Result<()> {
    let mut dirs: Vec<PathBuf> = dirs.iter().map(|dir| (*dir).to_owned()).collect();
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            see(&metadata);
            if metadata.is_dir() {
                dirs.push(entry.path());
            }
        }
    }
    Ok(())
}

/// The commands of git-sync for a pass, in its order.
struct GitCommands<'a> {
    remote: &'a Remote,
    root: PathBuf,
}

impl<'a> GitCommands<'a> {
    /// Runs the first sync.
    fn start(remote: &'a Remote, dir: &Path, figures: &mut Figures) -> Result<Self> {
        let root = dir.join("root");
        fs::create_dir(&root)?;
        let this = Self { remote, root };
        let before = children_cpu()?;
        this.git(&["init", "-q", "-b", "git-sync"])?;
        this.fetch_and_publish(None)?;
        figures.first.push(children_cpu()? - before);
        Ok(this)
    }

    fn follow(&self, figures: &mut Figures) -> Result<()> {
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
