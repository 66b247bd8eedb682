//! A program as a container runs it: process 1 of a PID namespace of its own, with nothing of the
//! caller's environment.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::proc::Tree;
use crate::proc::children;
use crate::process::Process;
use crate::samples::Samples;

/// How many processes there are between two passes of a syncer: process 1 and the program itself.
/// More than that, and git is at work.
pub const AT_REST: usize = 2;

/// How long the kernel may take to start a process.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running program in a PID namespace of its own; all of it is killed when dropped.
#[derive(Debug)]
pub struct Contained {
    process: Process,
    /// The namespace's process 1 and all below it.
    pub tree: Tree,
    init: Pid,
}

impl Contained {
    /// Starts a command line there; `dir` takes its log and is its home.
    pub fn start(name: &str, dir: &Path, command: &[String]) -> Result<Self> {
        let mut args: Vec<String> = ["--pid", "--fork", "--kill-child", "--mount-proc"]
            .map(str::to_owned)
            .to_vec();
        // As in a container nothing comes from outside, such as a user's GIT_SSL_CAINFO.
        args.extend(["env", "-i", "PATH=/usr/bin:/bin:/usr/sbin:/sbin"].map(str::to_owned));
        // What a program leaves in either goes with the folder.
        args.push(format!("HOME={}", dir.display()));
        args.push(format!("TMPDIR={}", dir.display()));
        args.extend_from_slice(command);
        let process = Process::start(name, Path::new("unshare"), &args, dir)?;
        let started = Instant::now();
        let init = loop {
            process.check().context("PID namespaces need root")?;
            match children(process.pid())[..] {
                [init] => break init,
                _ if started.elapsed() > PATIENCE => bail!("unshare started nothing"),
                _ => sleep(Duration::from_millis(1)),
            }
        };
        Ok(Self {
            process,
            tree: Tree::of(init),
            init: Pid::from_raw(init.cast_signed()),
        })
    }

    /// Tells whether it still runs.
    pub fn check(&self) -> Result<()> {
        self.process.check()
    }

    /// The last lines of its log.
    pub fn log(&self) -> String {
        self.process.log_tail(20)
    }

    /// Watches its memory while something is done.
    pub fn memory_while(&self, act: impl FnOnce() -> Result<()>) -> Result<Memory> {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let watch = scope.spawn(|| {
                let (mut rest, mut peak) = (Samples::default(), 0.0_f64);
                while !is_over.load(Ordering::Relaxed) {
                    let is_at_rest = self.tree.pids().len() <= AT_REST;
                    let now = self.tree.pss();
                    peak = peak.max(now);
                    if is_at_rest {
                        rest.push(now);
                    }
                    sleep(Duration::from_millis(2));
                }
                let rest = rest.median();
                Memory { rest, peak }
            });
            let acted = act();
            is_over.store(true, Ordering::Relaxed);
            let memory = watch.join().map_err(|_| anyhow!("the watcher panicked"))?;
            acted.map(|()| memory)
        })
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        // With its process 1 the kernel ends a namespace. It may have ended by itself.
        let _ = kill(self.init, Signal::SIGKILL);
    }
}

/// Memory of all processes together, in MB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// While no git runs.
    pub rest: f64,
    /// The most that was seen.
    pub peak: f64,
}
