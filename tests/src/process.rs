//! A background program of a test: started, monitored, and always stopped.

use std::ffi::OsString;
use std::fs;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::Result;
use anyhow::anyhow;
use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::eventually::eventually;
use crate::settings;

/// A running program whose output goes to a file; dropping it stops it and waits for its end.
#[derive(Debug)]
pub struct Process {
    name: String,
    /// The program and its arguments.
    words: Vec<OsString>,
    log: PathBuf,
    child: Mutex<Child>,
}

impl Process {
    /// Starts a program; both its outputs are appended to `<logs>/<name>.log`.
    pub fn start(name: &str, program: &Path, args: &[String], logs: &Path) -> Result<Self> {
        fs::create_dir_all(logs)?;
        let log = logs.join(format!("{name}.log"));
        let words = std::iter::once(program.into());
        let words: Vec<OsString> = words.chain(args.iter().map(OsString::from)).collect();
        let child = spawn(&words, &log).with_context(|| format!("start {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            words,
            log,
            child: Mutex::new(child),
        })
    }

    /// Kills it, as a crash would, and starts it again with the same arguments.
    pub fn restart(&self) -> Result<()> {
        let mut child = self.child();
        child.kill()?;
        child.wait()?;
        *child = spawn(&self.words, &self.log).with_context(|| format!("start {}", self.name))?;
        Ok(())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.pid().cast_signed()), signal)?)
    }

    /// The name that it was started with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child().id()
    }

    /// Checks that it still runs; the error contains the end of its output.
    pub fn check(&self) -> Result<()> {
        match self.child().try_wait()? {
            None => Ok(()),
            Some(status) => Err(anyhow!(
                "{} ended with {status}:\n{}",
                self.name,
                self.log_tail(20)
            )),
        }
    }

    /// The last lines of its output.
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }

    /// Sends SIGTERM, waits up to ten seconds, then kills it.
    pub fn stop(&self) {
        let mut child = self.child();
        let Ok(None) = child.try_wait() else { return };
        // A PID that does not fit i32 does not exist on Linux.
        let pid = Pid::from_raw(child.id().cast_signed());
        let _ = kill(pid, Signal::SIGTERM);
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits like [`eventually`], but fails immediately if `check` finds a program that ended.
pub(crate) fn eventually_while<T>(
    check: impl Fn() -> Result<()>,
    what: &str,
    timeout: Duration,
    mut look: impl FnMut() -> Result<T, String>,
) -> Result<T> {
    eventually(what, timeout, || match check() {
        Err(ended) => Ok(Err(ended.context(what.to_owned()))),
        Ok(()) => look().map(Ok),
    })
    .map_err(|error| anyhow!(error))?
}

/// The last lines of a text file, or the error of reading it.
pub(crate) fn tail(file: &Path, lines: usize) -> String {
    match fs::read(file) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let all: Vec<&str> = text.lines().collect();
            all[all.len().saturating_sub(lines)..].join("\n")
        }
        Err(error) => format!("{}: {error}", file.display()),
    }
}

fn spawn(words: &[OsString], log: &Path) -> Result<Child> {
    let output = File::options().create(true).append(true).open(log)?;
    // The kernel kills it when this process ends, for any reason (kill -9 of the test included).
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .args(words)
        .env("PATH", settings::path_with_tools())
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    spawn_from_the_keeper(command)
}

type Order = (Command, mpsc::Sender<std::io::Result<Child>>);

/// Spawns from a thread that lives as long as the process: the kernel sends the "parent death"
/// signal when the spawning *thread* ends, and a test's thread ends with its test.
fn spawn_from_the_keeper(command: Command) -> Result<Child> {
    static KEEPER: OnceLock<Mutex<mpsc::Sender<Order>>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in inbox {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (answer, child) = mpsc::channel();
    keeper
        .lock()
        .map_err(|_| anyhow!("the spawning thread is gone"))?
        .send((command, answer))
        .map_err(|_| anyhow!("the spawning thread is gone"))?;
    Ok(child.recv()??)
}
