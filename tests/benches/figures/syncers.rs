//! One running syncer: this one with a layout, or git-sync, all with the same settings. Each is
//! process 1 of its own PID namespace, as in a container, since both then have a second process.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use tests::contained::AT_REST;
use tests::contained::Contained;
use tests::http;
use tests::proc::Cpu;
use tests::settings;

use crate::proxy::Proxy;
use crate::proxy::Traffic;
use crate::remote::Remote;
use crate::remote::Road;
use crate::remote::STAMP;

/// The time from the end of a pass to the start of the next.
pub(crate) const PERIOD: Duration = Duration::from_millis(250);
/// The minimum and the maximum time without traffic that marks the middle between two passes.
const QUIET: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(170));
/// The timeout of every wait.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The program and its layout.
#[derive(Clone)]
pub(crate) enum Kind {
    /// This syncer, with one symlink to the tree.
    Link,
    /// This syncer, with entries as in a ConfigMap volume.
    Projected,
    /// git-sync.
    GitSync(PathBuf),
}

impl Kind {
    /// Its name in tables.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Kind::Link => "link",
            Kind::Projected => "projected",
            Kind::GitSync(_) => "git-sync",
        }
    }

    /// The flags for the place of publication, and the path of the published stamp.
    fn publishes(&self, dir: &Path) -> Result<(Vec<String>, PathBuf)> {
        let root = dir.join("root");
        let mut flags = vec![format!("--root={}", root.display())];
        let stamp = if let Kind::Projected = self {
            fs::create_dir_all(&root)?;
            flags.push("--layout=projected".to_owned());
            flags.push(format!("--state={}", dir.join("state").display()));
            root.join(STAMP)
        } else {
            flags.push("--link=site".to_owned());
            root.join("site").join(STAMP)
        };
        Ok((flags, stamp))
    }
}

/// A running syncer behind its own proxy.
pub(crate) struct Syncer<'a> {
    pub(crate) program: Contained,
    started: Instant,
    proxy: Proxy,
    remote: &'a Remote,
    requests_before: usize,
    metrics: u16,
    stamp: PathBuf,
}

/// All counters since a syncer's start, read between two passes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Reading {
    /// CPU time.
    pub(crate) cpu: Cpu,
    /// The traffic.
    pub(crate) traffic: Traffic,
    /// HTTP requests.
    pub(crate) requests: u64,
    /// Passes without a change.
    pub(crate) idle: u64,
    /// Passes with a publication.
    pub(crate) published: u64,
}

impl<'a> Syncer<'a> {
    /// Starts it in an empty directory.
    pub(crate) fn start(
        kind: &Kind,
        road: Road,
        depth: u32,
        dir: &Path,
        remote: &'a Remote,
    ) -> Result<Self> {
        let proxy = Proxy::start(remote.address(road))?;
        let metrics = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let ours = settings::syncer_binary();
        let program = match kind {
            Kind::Link | Kind::Projected => &ours,
            Kind::GitSync(program) => program,
        };
        let (publishes, stamp) = kind.publishes(dir)?;
        let mut command = vec![
            program.display().to_string(),
            format!("--depth={depth}"),
            format!("--period={}ms", PERIOD.as_millis()),
            format!("--http-bind=127.0.0.1:{metrics}"),
            "--http-metrics".to_owned(),
        ];
        command.extend(remote.flags(road, proxy.address(), dir)?);
        command.extend(publishes);
        let requests_before = remote.requests();
        let started = Instant::now();
        let program = Contained::start(kind.name(), dir, &command)?;
        Ok(Self {
            program,
            started,
            proxy,
            remote,
            requests_before,
            metrics,
            stamp,
        })
    }

    /// Waits until this is the published stamp, and calls `look` meanwhile; returns the time of
    /// publication.
    fn await_stamp_while(&self, content: &str, mut look: impl FnMut()) -> Result<Instant> {
        let start = Instant::now();
        while !fs::read_to_string(&self.stamp).is_ok_and(|now| now == content) {
            self.program.check()?;
            if start.elapsed() > TIMEOUT {
                bail!("not published: {content}\n{}", self.program.log());
            }
            look();
            sleep(Duration::from_millis(1));
        }
        Ok(Instant::now())
    }

    /// Waits for the first revision; returns the time from the start, in ms.
    pub(crate) fn await_first(&self) -> Result<f64> {
        let published = self.await_stamp_while(&self.remote.stamp(), || ())?;
        Ok(millis(published - self.started))
    }

    /// Makes a commit between two passes; returns the time of its publication in ms, from the first
    /// sign of the pass that found it: traffic to the remote, or a process of git's.
    pub(crate) fn follow_commit(&self) -> Result<f64> {
        self.await_quiet()?;
        let stamp = self.remote.commit()?;
        self.proxy.mark();
        let mut began = None;
        let published = self.await_stamp_while(&stamp, || {
            let has_git = || self.program.tree.pids().len() > AT_REST;
            if began.is_none() && (self.proxy.has_passed_since_mark() || has_git()) {
                began = Some(Instant::now());
            }
        })?;
        Ok(millis(published - began.unwrap_or(published)))
    }

    /// Waits for the middle between two passes. A request to the program would cost it CPU time, so
    /// the traffic is observed instead.
    pub(crate) fn await_quiet(&self) -> Result<()> {
        let start = Instant::now();
        let (least, most) = QUIET;
        loop {
            self.program.check()?;
            let quiet = self.proxy.quiet();
            if quiet >= least && quiet <= most && self.program.tree.pids().len() <= AT_REST {
                return Ok(());
            }
            if start.elapsed() > TIMEOUT {
                bail!("it never rests\n{}", self.program.log());
            }
            sleep(Duration::from_millis(5));
        }
    }

    /// Reads all counters between two passes.
    pub(crate) fn read(&self) -> Result<Reading> {
        self.await_quiet()?;
        let cpu = self.program.tree.cpu()?;
        let metrics = http::get("127.0.0.1", self.metrics, "/metrics")
            .map_err(|error| anyhow!("{error}\n{}", self.program.log()))?;
        Ok(Reading {
            cpu,
            traffic: self.proxy.traffic(),
            requests: (self.remote.requests() - self.requests_before) as u64,
            idle: count(&metrics, "noop")?,
            published: count(&metrics, "success")?,
        })
    }
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The number of passes with this status; both programs use the same metric name.
fn count(metrics: &str, status: &str) -> Result<u64> {
    let name = format!("git_sync_count_total{{status=\"{status}\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
    // A counter that is still zero is omitted.
    let count = value.map_or(Ok(0.0), str::parse::<f64>);
    Ok(count.context("a count")?.round() as u64)
}
