//! Crash tests: the program is killed with all its child processes, as a container is, before each
//! step and at random moments, while commits and reads continue. `GITVOLUME_CRASHES` is the number
//! of kills.

use std::env;
use std::fs;
use std::fs::File;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::fcntl::open;
use nix::fcntl::openat;
use nix::sys::stat::Mode;

use crate::world::LAYOUTS;
use crate::world::Syncer;
use crate::world::World;
use crate::world::namespaces;

/// The total number of kills, unless the environment sets another one.
const CRASHES: usize = 500;

/// The exit code after the kernel's or an init's `kill -9`.
const KILLED: i32 = 128 + 9;

/// The time for which a consumer may use a directory that it has opened.
const GRACE: Duration = Duration::from_secs(2);

/// Long enough that a partial write is noticed.
const FILE_SIZE: usize = 20_000;

fn content(n: usize) -> String {
    let line = format!("{n}\n");
    line.repeat(FILE_SIZE / line.len())
}

/// Changes two files together, adds one and removes one.
fn commit(world: &World, n: usize) -> String {
    let commit = world
        .repo
        .commit()
        .write("one", content(n))
        .write("d/two", content(n))
        .write(&format!("new-{n}"), "x");
    match n {
        0 => commit.push(),
        n => commit.remove(&format!("new-{}", n - 1)).push(),
    }
}

/// The content of one directory as a consumer reads it.
#[derive(Debug, Eq, PartialEq)]
enum Reading {
    Whole(usize),
    /// The tree was removed while it was read, after its grace period.
    TooLate,
}

/// Reads a tree through one open directory, as a careful consumer does.
fn read(tree: &Path, layout: &str) -> Reading {
    let began = Instant::now();
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
    let dir = open(tree, flags, Mode::empty())
        .unwrap_or_else(|errno| panic!("{} is missing: {errno}", tree.display()));
    let text = |name: &str| -> Result<String, Errno> {
        let file = openat(&dir, name, OFlag::O_RDONLY, Mode::empty())?;
        let mut text = String::new();
        File::from(file).read_to_string(&mut text).unwrap();
        Ok(text)
    };
    let read = || -> Result<usize, Errno> {
        let one = text("one")?;
        let n: usize = one.lines().next().expect("an empty file").parse().unwrap();
        assert_eq!(one, content(n), "a torn file");
        if layout == "files" {
            // The tree changes file by file.
            let two = text("d/two")?;
            let number = two.lines().next().expect("an empty file").parse().unwrap();
            assert_eq!(two, content(number), "a torn file");
            return Ok(n);
        }
        assert_eq!(text("d/two")?, one, "two revisions in one directory");
        assert_eq!(text(&format!("new-{n}"))?, "x");
        Ok(n)
    };
    match read() {
        Ok(n) => Reading::Whole(n),
        Err(Errno::ENOENT) if began.elapsed() >= GRACE => Reading::TooLate,
        Err(errno) => panic!("a file is missing: {errno}"),
    }
}

/// Pseudo-random numbers, the same in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

/// One layout's world, with the results of the kills in it.
struct Trial {
    world: World,
    /// The end of process 1 ends every process in its namespace, as in a container.
    as_process_one: Vec<&'static str>,
    commits: usize,
    wanted: String,
    chance: Chance,
    kills: usize,
    /// The number of steps of the longest run.
    steps: i64,
}

impl Trial {
    fn new(layout: &'static str, as_process_one: &[&'static str]) -> Self {
        let world = World::new(layout);
        let wanted = commit(&world, 0);
        Self {
            world,
            as_process_one: as_process_one.to_vec(),
            commits: 1,
            wanted,
            chance: Chance(7),
            kills: 0,
            steps: 0,
        }
    }

    fn commit(&mut self) {
        self.wanted = commit(&self.world, self.commits);
        self.commits += 1;
    }

    fn syncer(&self) -> Syncer {
        self.world
            .syncer_under(&self.as_process_one)
            .flag("stale-worktree-timeout", format!("{}s", GRACE.as_secs()))
    }

    /// Runs until the commit is published or the step is reached; returns whether it was published.
    fn run_to(&mut self, step: i64) -> bool {
        // In the files layout a one-time run keeps the tree of the same request.
        let _ = fs::remove_file(self.world.own().join("tree.request"));
        let run = self
            .syncer()
            .flag("one-time", "true")
            .flag("max-failures", "0")
            .env("GITVOLUME_CRASH_AT", step.to_string())
            .finish();
        let killed = run.status.code() == Some(KILLED) || run.status.signal() == Some(9);
        if killed {
            self.kills += 1;
            self.steps = self.steps.max(step);
        } else {
            run.assert_code(0);
        }
        killed
    }

    /// Follows the ref until a random moment.
    fn run_for_a_while(&mut self) {
        let log = self.world.path("log");
        let running = self.syncer().flag("period", "10ms").start(&log);
        thread::sleep(Duration::from_millis(self.chance.below(120)));
        running.kill();
        self.kills += 1;
    }

    /// Asserts that an undisturbed run repairs everything.
    fn assert_convergence(&mut self) {
        assert!(!self.run_to(-1));
        let layout = self.world.layout;
        if layout == "files" {
            // The first one may have finished a change to an earlier commit, which it then keeps.
            assert!(!self.run_to(-1));
        }
        assert_eq!(
            self.world.published().as_ref(),
            Some(&self.wanted),
            "{layout}"
        );
        let last = self.commits - 1;
        assert_eq!(
            read(&self.world.tree(), layout),
            Reading::Whole(last),
            "{layout}"
        );
        let two = self.world.read("d/two");
        assert_eq!(two, Some(content(last)), "{layout}");
        let new = format!("new-{last}");
        assert_eq!(self.world.files(), ["d/two", &new, "one"], "{layout}");
        for name in ["d/two", &new, "one"] {
            let path = self.world.seen().join(name);
            assert!(path.exists(), "{layout}: {name} is not linked");
        }
        for name in [
            ".new-*",
            "*.lock",
            "tmp_*",
            ".tmp-*",
            "..data_tmp*",
            ".gitvolume-*",
            "journal",
            "prepared",
            "staging",
            "next*",
        ] {
            let left = self.find(name);
            assert!(left.is_empty(), "{layout}: left behind: {left:?}");
        }
    }

    fn find(&self, name: &str) -> Vec<PathBuf> {
        let find = Command::new("find")
            .args([self.world.root(), self.world.state()])
            .args(["-name", name])
            .output()
            .unwrap();
        let paths = String::from_utf8(find.stdout).unwrap();
        paths.lines().map(PathBuf::from).collect()
    }
}

/// Half of the kills are before each step in turn, and twice in a row; half are at random moments.
fn crash(layout: &'static str, crashes: usize, as_process_one: &[&'static str]) {
    let mut trial = Trial::new(layout, as_process_one);
    // The first publication has its own steps, and no consumer can have read before it.
    let mut step = 0;
    while trial.run_to(step) {
        step += 1;
    }
    trial.assert_convergence();
    let tree = trial.world.tree();
    let done = AtomicBool::new(false);
    let reads = AtomicUsize::new(0);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                read(&tree, layout);
                reads.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(1));
            }
        });
        let mut step = 0;
        while trial.kills < crashes {
            assert!(!reader.is_finished(), "{layout}: the reader gave up");
            trial.commit();
            if trial.run_to(step) {
                step += 1;
            } else {
                step = 0;
            }
            if trial.chance.below(3) == 0 {
                let again = trial.chance.below(40);
                trial.run_to(i64::try_from(again).unwrap());
            }
            if step % 2 == 0 {
                trial.assert_convergence();
            }
            trial.commit();
            trial.run_for_a_while();
        }
        trial.assert_convergence();
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
    println!(
        "{layout}: {} kills, {} steps, {} commits, {reads:?} readings",
        trial.kills, trial.steps, trial.commits
    );
    assert!(trial.steps > 20, "{layout}: the steps are not there");
    // The number of leftovers does not grow with the number of crashes.
    thread::sleep(GRACE);
    trial.assert_convergence();
    let mut files = trial.find("*");
    // git's objects have a bound of their own.
    files.retain(|path| !path.iter().any(|name| name == "objects"));
    let files = files.len();
    assert!(files < 200, "{layout}: {files} files are left");
    fs::remove_dir_all(trial.world.root()).unwrap();
}

#[test]
fn kills_at_each_step_and_at_random_are_invisible_to_readers_and_the_next_run_continues() {
    let Some(as_process_one) = namespaces::as_process_one() else {
        return;
    };
    let as_process_one = &as_process_one;
    #[expect(clippy::disallowed_methods, reason = "a test's own setting")]
    let crashes = env::var("GITVOLUME_CRASHES").ok();
    let crashes = crashes.map_or(CRASHES, |crashes| crashes.parse().unwrap());
    thread::scope(|scope| {
        for layout in LAYOUTS {
            scope.spawn(move || crash(layout, crashes.div_ceil(LAYOUTS.len()), as_process_one));
        }
    });
}
