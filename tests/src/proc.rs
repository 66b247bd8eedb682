//! Resource usage of processes, from /proc.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use nix::time::ClockId;
use nix::time::clock_gettime;
use nix::unistd::Pid;

/// Unit of time in /proc/PID/stat: USER_HZ, which is 100 on every target we build for.
const TICK: Duration = Duration::from_millis(10);

/// CPU time since the start of a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    /// Its own time, user and system, to the nanosecond.
    pub own: Duration,
    /// Time of the children that it has waited for, and of their children, in ticks.
    pub children: Duration,
}

impl Cpu {
    /// The sum.
    pub fn total(self) -> Duration {
        self.own + self.children
    }
}

/// The CPU time of a process and its children so far.
pub fn cpu(pid: u32) -> Result<Cpu> {
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(pid.cast_signed()))?;
    let stat = read(pid, "stat")?;
    // The program's name in the first fields may contain any character.
    let (_, fields) = stat.rsplit_once(") ").context("a line of stat")?;
    let ticks: Vec<u32> = fields
        .split(' ')
        // cutime and cstime are fields 16 and 17 of proc_pid_stat(5); these fields begin at the
        // third.
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
pub fn thread_cpu() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// The resident memory of a process without its children, in MB.
pub fn rss(pid: u32) -> Result<f64> {
    let status = read(pid, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .context("a line VmRSS")?
        .parse()?;
    Ok(kib * 1024.0 / 1e6)
}

/// A process and all processes that it and its children have started.
#[derive(Debug)]
pub struct Tree {
    root: u32,
}

impl Tree {
    /// The processes below this one.
    pub fn of(root: u32) -> Self {
        Self { root }
    }

    /// The PIDs that exist now, the root first.
    pub fn pids(&self) -> Vec<u32> {
        let mut pids = vec![self.root];
        let mut next = 0;
        while let Some(&pid) = pids.get(next) {
            pids.extend(children(pid));
            next += 1;
        }
        pids
    }

    /// CPU time of all these processes, including those that have ended.
    pub fn cpu(&self) -> Result<Cpu> {
        let mut all = Cpu::default();
        for pid in self.pids() {
            let one = cpu(pid)?;
            all.own += one.own;
            all.children += one.children;
        }
        Ok(all)
    }

    /// Their proportional set size in MB: shared pages are divided among the processes.
    pub fn pss(&self) -> f64 {
        // A process that has just ended has no memory.
        self.pids().into_iter().filter_map(pss).sum()
    }
}

/// The current children of a process.
pub fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    // A thread may end between the two reads.
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            let pids = list.split_whitespace().map(str::parse);
            pids.flatten().collect::<Vec<u32>>()
        })
        .collect()
}

fn pss(pid: u32) -> Option<f64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

fn read(pid: u32, name: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{name}");
    fs::read_to_string(&path).with_context(|| format!("{path}: it has ended"))
}
