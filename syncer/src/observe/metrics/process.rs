//! The process metrics, with the names that all Prometheus clients use.

use std::fs;
use std::time::SystemTime;

use nix::sys::resource::Resource;
use nix::sys::resource::UsageWho;
use nix::sys::resource::getrlimit;
use nix::sys::resource::getrusage;
use nix::sys::time::TimeVal;

use crate::observe::metrics::text::Kind;
use crate::observe::metrics::text::Text;
use crate::observe::metrics::text::unix;

/// Writes the metrics that the system provides and omits the others.
pub(super) fn write(text: &mut Text, started: SystemTime) {
    for (name, who, help) in [
        (
            "process_cpu_seconds_total",
            UsageWho::RUSAGE_SELF,
            "Total user and system CPU time spent in seconds.",
        ),
        (
            "gitvolume_children_cpu_seconds_total",
            UsageWho::RUSAGE_CHILDREN,
            "CPU seconds of terminated child processes: git and hooks",
        ),
    ] {
        if let Ok(usage) = getrusage(who) {
            let seconds = seconds(usage.user_time()) + seconds(usage.system_time());
            text.single(name, Kind::Counter, help, seconds);
        }
    }
    if let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let help = "Maximum number of open file descriptors.";
        text.single("process_max_fds", Kind::Gauge, help, limit as f64);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        let help = "Number of open file descriptors.";
        // The directory listing itself is an open file too.
        let open = open.count().saturating_sub(1) as f64;
        text.single("process_open_fds", Kind::Gauge, help, open);
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (name, line, help) in [
        (
            "process_resident_memory_bytes",
            "VmRSS:",
            "Resident memory size in bytes.",
        ),
        (
            "process_virtual_memory_bytes",
            "VmSize:",
            "Virtual memory size in bytes.",
        ),
    ] {
        if let Some(bytes) = bytes_of(&status, line) {
            text.single(name, Kind::Gauge, help, bytes);
        }
    }
    let help = "Start time of the process since unix epoch in seconds.";
    let started = unix(started);
    text.single("process_start_time_seconds", Kind::Gauge, help, started);
}

fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

/// Parses a line such as `VmRSS:      6044 kB`.
fn bytes_of(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_described() {
        let mut text = Text::default();
        write(&mut text, SystemTime::now());
        let text = text.into_string();
        for name in [
            "process_cpu_seconds_total",
            "gitvolume_children_cpu_seconds_total",
            "process_max_fds",
            "process_open_fds",
            "process_resident_memory_bytes",
            "process_virtual_memory_bytes",
            "process_start_time_seconds",
        ] {
            let value = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
            assert!(value.is_some_and(|value| value >= 0.0), "{name}\n{text}");
        }
    }
}
