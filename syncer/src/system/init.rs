//! The init process of a container: it starts itself again as a child, forwards signals, and reaps
//! every orphan. If the syncer itself were process 1, its `waitpid` for orphans would take the exit
//! statuses of its own commands.

use std::env;
use std::io;
use std::process::Command;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::sys::signal::SigSet;
use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::sys::wait::WaitPidFlag;
use nix::sys::wait::WaitStatus;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

/// git-sync's exit code of an init process that fails.
const FAILED: u8 = 127;

/// Whether this process is the first of its PID namespace.
pub(crate) fn is_needed() -> bool {
    std::process::id() == 1
}

/// Runs the same command line as a child until it ends, and returns its exit code.
pub(crate) fn run() -> ExitCode {
    eprintln!("INFO: detected pid 1, running init handler");
    match supervise() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("gitvolume-syncer: cannot run as process 1: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn supervise() -> io::Result<u8> {
    let signals = SigSet::all();
    // Blocked before the child exists, so that none is lost; the child unblocks them once it
    // handles them.
    signals.thread_block()?;
    let child = Command::new(env::current_exe()?)
        .args(env::args_os().skip(1))
        .spawn()?;
    let child = i32::try_from(child.id()).map_err(io::Error::other)?;
    let child = Pid::from_raw(child);
    loop {
        match signals.wait() {
            Ok(Signal::SIGCHLD) => {
                if let Some(code) = reap(child)? {
                    return Ok(code);
                }
            }
            Ok(signal) => match kill(child, signal) {
                // The child has already ended: the next signal is its SIGCHLD.
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => return Err(errno.into()),
            },
            // A real-time signal, which has no name in `Signal`.
            Err(Errno::EINVAL | Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Reaps all ended processes; returns the exit code of the child if it is among them.
fn reap(child: Pid) -> io::Result<Option<u8>> {
    let mut code = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) if pid == child => {
                code = Some(u8::try_from(status & 0xff).unwrap_or(FAILED));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                code = Some(u8::try_from(128 + signal as i32).unwrap_or(FAILED));
            }
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(code),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
