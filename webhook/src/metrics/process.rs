//! Metrics of the process itself, under the standard names of Prometheus clients
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).

use std::fmt;
use std::fs;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::EncodeMetric;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// A collector that reads `/proc/self` at each scrape; values that cannot be read are omitted.
#[derive(Debug)]
pub(super) struct Process {
    started: SystemTime,
}

impl Process {
    /// Creates the collector; to be called when the process starts.
    pub(super) fn new() -> Self {
        Self {
            started: SystemTime::now(),
        }
    }
}

/// The CPU time of the process.
#[cfg(unix)]
fn cpu_time() -> Option<Duration> {
    use nix::time::ClockId;
    use nix::time::clock_gettime;
    let used = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).ok()?;
    Some(Duration::from(used))
}

/// None: on Windows only the command line runs, and it serves no metrics.
#[cfg(not(unix))]
fn cpu_time() -> Option<Duration> {
    None
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if let Some(cpu) = cpu_time() {
            let seconds = ConstCounter::new(cpu.as_secs_f64());
            let help = "CPU time, user and system, in seconds";
            let kind = seconds.metric_type();
            seconds.encode(encoder.encode_descriptor(
                "process_cpu_seconds",
                help,
                None,
                kind,
            )?)?;
        }
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let started = self.started.duration_since(UNIX_EPOCH).ok();
        let gauges = [
            (
                "process_start_time_seconds",
                "When the process started, as a Unix time",
                started.map(|since| since.as_secs_f64()),
            ),
            (
                "process_resident_memory_bytes",
                "Memory that is resident",
                kibibytes(&status, "VmRSS:").map(|kib| kib * 1024.0),
            ),
            (
                "process_virtual_memory_bytes",
                "Memory that is mapped",
                kibibytes(&status, "VmSize:").map(|kib| kib * 1024.0),
            ),
            (
                "process_threads",
                "Threads",
                line(&status, "Threads:").and_then(|count| count.parse().ok()),
            ),
            (
                "process_open_fds",
                "File descriptors that are open",
                fs::read_dir("/proc/self/fd")
                    .ok()
                    .map(|open| open.count() as f64),
            ),
            (
                "process_max_fds",
                "File descriptors that may be open",
                max_fds(),
            ),
        ];
        for (name, help, value) in gauges {
            let Some(value) = value else { continue };
            let value = ConstGauge::new(value);
            let kind = value.metric_type();
            value.encode(encoder.encode_descriptor(name, help, None, kind)?)?;
        }
        Ok(())
    }
}

/// The rest of the `/proc/self/status` line with this name.
fn line<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = status.lines();
    lines
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}

fn kibibytes(status: &str, name: &str) -> Option<f64> {
    line(status, name)?.strip_suffix(" kB")?.parse().ok()
}

/// The soft limit of open files: the first column.
fn max_fds() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = line(&limits, "Max open files")?;
    line.split_whitespace().next()?.parse().ok()
}
