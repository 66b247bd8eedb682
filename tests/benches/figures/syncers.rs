//! One syncer at work: ours in a layout, or git-sync, all told the same.

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
use remotes::HttpServer;
use tests::http;
use tests::process::Process;
use tests::settings;

use crate::proc;
use crate::proc::Cpu;
use crate::proxy::Proxy;
use crate::proxy::Traffic;

/// From the end of a pass to the beginning of the next.
pub(crate) const PERIOD: Duration = Duration::from_millis(250);
/// Between two passes nothing goes over the wire for this long, at least and at most.
const QUIET: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(170));
/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// The file whose content tells which revision is published.
pub(crate) const STAMP: &str = "stamp";

/// Which program, and how it publishes.
pub(crate) enum Kind {
    /// Ours with one symlink to the tree.
    Link,
    /// Ours with entries as a ConfigMap has them.
    Projected,
    /// The peer.
    GitSync(PathBuf),
}

impl Kind {
    /// How it is called in tables.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Kind::Link => "link",
            Kind::Projected => "projected",
            Kind::GitSync(_) => "git-sync",
        }
    }
}

/// A running syncer behind a proxy of its own.
pub(crate) struct Syncer<'a> {
    process: Process,
    proxy: Proxy,
    remote: &'a HttpServer,
    requests_before: usize,
    metrics: u16,
    stamp: PathBuf,
}

/// Everything counted since a syncer's start, read between two passes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Reading {
    /// CPU time.
    pub(crate) cpu: Cpu,
    /// What went over the wire.
    pub(crate) traffic: Traffic,
    /// HTTP requests.
    pub(crate) requests: u64,
    /// Passes that found nothing new.
    pub(crate) idle: u64,
    /// Passes that published something.
    pub(crate) published: u64,
}

impl<'a> Syncer<'a> {
    /// Starts it in an empty folder, on the repository of that name.
    pub(crate) fn start(
        kind: &Kind,
        dir: &Path,
        remote: &'a HttpServer,
        name: &str,
    ) -> Result<Self> {
        let proxy = Proxy::start(remote.address())?;
        let metrics = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let (root, state) = (dir.join("root"), dir.join("state"));
        let ours = settings::syncer_binary();
        let program = match kind {
            Kind::Link | Kind::Projected => &ours,
            Kind::GitSync(program) => program,
        };
        let mut args = vec![
            // What git-sync leaves in either goes with the folder.
            format!("HOME={}", dir.display()),
            format!("TMPDIR={}", dir.display()),
            program.display().to_string(),
            format!("--repo=http://{}/{name}", proxy.address()),
            format!("--root={}", root.display()),
            format!("--period={}ms", PERIOD.as_millis()),
            "--depth=1".to_owned(),
            format!("--http-bind=127.0.0.1:{metrics}"),
            "--http-metrics".to_owned(),
        ];
        let stamp = match kind {
            Kind::Projected => {
                fs::create_dir_all(&root)?;
                args.push("--layout=projected".to_owned());
                args.push(format!("--state={}", state.display()));
                root.join(STAMP)
            }
            Kind::Link | Kind::GitSync(_) => {
                args.push("--link=site".to_owned());
                root.join("site").join(STAMP)
            }
        };
        let requests_before = remote.requests();
        let process = Process::start(kind.name(), Path::new("env"), &args, dir)?;
        Ok(Self {
            process,
            proxy,
            remote,
            requests_before,
            metrics,
            stamp,
        })
    }

    /// Waits until this is the published stamp.
    pub(crate) fn await_stamp(&self, content: &str) -> Result<()> {
        let start = Instant::now();
        while !fs::read_to_string(&self.stamp).is_ok_and(|now| now == content) {
            self.process.check()?;
            if start.elapsed() > PATIENCE {
                bail!("not published: {content}\n{}", self.process.log_tail(20));
            }
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Waits for the middle between two passes. Asking the program for it would cost the program
    /// CPU time, so the wire is watched.
    pub(crate) fn await_quiet(&self) -> Result<()> {
        let start = Instant::now();
        let (least, most) = QUIET;
        loop {
            self.process.check()?;
            let quiet = self.proxy.quiet();
            if quiet >= least && quiet <= most && !proc::has_children(self.process.pid())? {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                bail!("it never rests\n{}", self.process.log_tail(20));
            }
            sleep(Duration::from_millis(5));
        }
    }

    /// Reads everything between two passes.
    pub(crate) fn read(&self) -> Result<Reading> {
        self.await_quiet()?;
        let cpu = proc::cpu(self.process.pid())?;
        let metrics = http::get("127.0.0.1", self.metrics, "/metrics")
            .map_err(|error| anyhow!("{error}\n{}", self.process.log_tail(20)))?;
        Ok(Reading {
            cpu,
            traffic: self.proxy.traffic(),
            requests: (self.remote.requests() - self.requests_before) as u64,
            idle: count(&metrics, "noop")?,
            published: count(&metrics, "success")?,
        })
    }

    /// The resident memory of the program itself between two passes, in MB.
    pub(crate) fn rss(&self) -> Result<f64> {
        self.await_quiet()?;
        proc::rss(self.process.pid())
    }
}

/// How many passes ended so; both programs count by the same name.
fn count(metrics: &str, status: &str) -> Result<u64> {
    let name = format!("git_sync_count_total{{status=\"{status}\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
    // What has not happened yet is not told.
    let count = value.map_or(Ok(0.0), str::parse::<f64>);
    Ok(count.context("a count")?.round() as u64)
}
