//! What the kernel has booked on a process.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use nix::time::ClockId;
use nix::time::clock_gettime;
use nix::unistd::Pid;

/// A tick of /proc/PID/stat: USER_HZ, which is 100 wherever we build for.
const TICK: Duration = Duration::from_millis(10);

/// CPU time since a process's start.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cpu {
    /// Its own, user and system, to the nanosecond.
    pub(crate) own: Duration,
    /// That of the children it has waited for, and of theirs, in ticks.
    pub(crate) children: Duration,
}

impl Cpu {
    /// All of it.
    pub(crate) fn total(self) -> Duration {
        self.own + self.children
    }
}

/// The CPU time of a process and its children so far.
pub(crate) fn cpu(pid: u32) -> Result<Cpu> {
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(pid.cast_signed()))?;
    let stat = read(pid, "stat")?;
    // The program's name before this may have anything in it.
    let (_, fields) = stat.rsplit_once(") ").context("a line of stat")?;
    let ticks: Vec<u32> = fields
        .split(' ')
        // cutime and cstime, the fields 16 and 17 of proc_pid_stat(5); these begin at the third.
        .skip(13)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    Ok(Cpu {
        own: clock_gettime(clock)?.into(),
        children: TICK * ticks.iter().sum(),
    })
}

/// The CPU time of this thread so far.
pub(crate) fn thread_cpu() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// The resident memory of a process without its children, in MB.
pub(crate) fn rss(pid: u32) -> Result<f64> {
    let status = read(pid, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .context("a line VmRSS")?
        .parse()?;
    Ok(kib * 1024.0 / 1e6)
}

/// Whether a process has children now.
pub(crate) fn has_children(pid: u32) -> Result<bool> {
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let children = thread?.path().join("children");
        // A thread may end between the two looks.
        if fs::read_to_string(children).is_ok_and(|children| !children.trim().is_empty()) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn read(pid: u32, name: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{name}");
    fs::read_to_string(&path).with_context(|| format!("{path}: it has ended"))
}
