//! A program in an environment like a container's: process 1 of its own PID namespace, with an
//! empty environment.

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

/// Number of processes between two passes of a syncer: process 1 and the program itself. More
/// processes mean that git is running.
pub const AT_REST: usize = 2;

/// Maximum time for the kernel to start a process.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A running program in its own PID namespace; dropping it kills all its processes.
#[derive(Debug)]
pub struct Contained {
    process: Process,
    /// The namespace's process 1 and all its descendants.
    pub tree: Tree,
    init: Pid,
}

impl Contained {
    /// Starts a command line in a new namespace; `dir` is its home and contains its log.
    pub fn start(name: &str, dir: &Path, command: &[String]) -> Result<Self> {
        let mut args: Vec<String> = ["--pid", "--fork", "--kill-child", "--mount-proc"]
            .map(str::to_owned)
            .to_vec();
        // Nothing comes from outside, as in a container; for example no GIT_SSL_CAINFO of the user.
        args.extend(["env", "-i", "PATH=/usr/bin:/bin:/usr/sbin:/sbin"].map(str::to_owned));
        // Files that the program leaves here are removed with the directory.
        args.push(format!("HOME={}", dir.display()));
        args.push(format!("TMPDIR={}", dir.display()));
        args.extend_from_slice(command);
        let process = Process::start(name, Path::new("unshare"), &args, dir)?;
        let started = Instant::now();
        let init = loop {
            process.check().context("PID namespaces need root")?;
            match children(process.pid())[..] {
                [init] => break init,
                _ if started.elapsed() > TIMEOUT => bail!("unshare started nothing"),
                _ => sleep(Duration::from_millis(1)),
            }
        };
        Ok(Self {
            process,
            tree: Tree::of(init),
            init: Pid::from_raw(init.cast_signed()),
        })
    }

    /// Checks that it still runs.
    pub fn check(&self) -> Result<()> {
        self.process.check()
    }

    /// Sends a signal to the namespace's process 1.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(self.init, signal)?)
    }

    /// The last lines of its log.
    pub fn log(&self) -> String {
        self.process.log_tail(20)
    }

    /// Samples its memory while `act` runs.
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
        // The kernel ends a namespace with its process 1, which may have exited already.
        let _ = kill(self.init, Signal::SIGKILL);
    }
}

/// Memory of all processes together, in MB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Without a running git.
    pub rest: f64,
    /// Peak.
    pub peak: f64,
}
