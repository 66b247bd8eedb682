//! The program is killed with everything it has started, as a container is: before each step that it
//! takes, and at random moments, while commits go on and someone reads. `GITVOLUME_CRASHES` is how
//! often.

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

/// How often the program is killed in all, unless the environment says otherwise.
const CRASHES: usize = 500;

/// What the kernel's or an init's own `kill -9` gives as an exit code.
const KILLED: i32 = 128 + 9;

/// For how long a reader may believe in a directory that it has opened.
const GRACE: Duration = Duration::from_secs(2);

/// Long enough that a write in two parts would show.
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

/// What a reader finds in one directory.
#[derive(Debug, Eq, PartialEq)]
enum Reading {
    Whole(usize),
    /// The tree was removed while it was being read, in its time.
    TooLate,
}

/// Reads a tree through one directory, as a careful reader does.
fn read(tree: &Path) -> Reading {
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

/// Numbers that look like chance and are the same at each run.
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

/// One layout's world, with what was learned of the kills in it.
struct Trial {
    world: World,
    /// The end of process 1 is the end of everything in its namespace, as in a container.
    as_process_one: Vec<&'static str>,
    commits: usize,
    wanted: String,
    chance: Chance,
    kills: usize,
    /// The steps that the longest run had.
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

    /// Runs until the commit is published, unless the step comes first.
    fn run_to(&mut self, step: i64) -> bool {
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

    /// Asserts that a run that nobody kills makes everything good.
    fn assert_convergence(&mut self) {
        assert!(!self.run_to(-1));
        let layout = self.world.layout;
        assert_eq!(
            self.world.published().as_ref(),
            Some(&self.wanted),
            "{layout}"
        );
        let last = self.commits - 1;
        assert_eq!(read(&self.world.tree()), Reading::Whole(last), "{layout}");
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

/// Half of the kills are before each step in turn, and twice in a row; half at random.
fn crash(layout: &'static str, crashes: usize, as_process_one: &[&'static str]) {
    let mut trial = Trial::new(layout, as_process_one);
    // The first publication has steps of its own, and nobody can have read before it.
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
                read(&tree);
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
    // What is left does not grow with the number of accidents.
    thread::sleep(GRACE);
    trial.assert_convergence();
    let files = trial.find("*").len();
    assert!(files < 200, "{layout}: {files} files are left");
    fs::remove_dir_all(trial.world.root()).unwrap();
}

#[test]
fn killed_before_each_step_and_at_random_no_reader_sees_it_and_the_next_run_goes_on() {
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
