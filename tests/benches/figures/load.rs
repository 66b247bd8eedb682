//! A load of admissions at a fixed rate, over TLS connections that are kept alive.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::Request;
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use hyper::header::HOST;
use tests::https;
use tests::https::Sender;
use tokio::runtime;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tokio::time::timeout;

/// The timeout of one connection or one answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A webhook, and the requests for it.
pub(crate) struct Target {
    /// Its address, `127.0.0.1:PORT`.
    pub(crate) address: String,
    /// The file of the CA of its certificate.
    pub(crate) ca: PathBuf,
    /// The path of each request.
    pub(crate) path: &'static str,
    /// The body of each request.
    pub(crate) body: Bytes,
}

/// Open connections to a webhook.
pub(crate) struct Client {
    runtime: Runtime,
    senders: Vec<Sender>,
    path: &'static str,
    body: Bytes,
}

impl Client {
    /// Opens this number of connections.
    pub(crate) fn connect(target: &Target, connections: usize) -> Result<Self> {
        // One thread: the load needs little CPU time, and what it uses is not available to the
        // webhook.
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let address: SocketAddr = target.address.parse()?;
        let connector = https::connector(&target.ca)?;
        let mut senders = Vec::new();
        for _ in 0..connections {
            let connecting = async { timeout(TIMEOUT, https::connect(address, &connector)).await };
            senders.push(runtime.block_on(connecting)??);
        }
        Ok(Self {
            runtime,
            senders,
            path: target.path,
            body: target.body.clone(),
        })
    }

    /// Sends `rate` requests a second for this time; returns the latency of each request, sorted.
    pub(crate) fn at_rate(&mut self, rate: u32, time: Duration) -> Result<Vec<Duration>> {
        let connections = u32::try_from(self.senders.len())?;
        let every = Duration::from_secs(1) * connections / rate;
        self.load(every, time.div_duration_f64(every) as usize)
    }

    /// Sends this number of requests, on each connection as soon as it has its answer; returns the
    /// number of answers.
    pub(crate) fn at_once(&mut self, requests: usize) -> Result<usize> {
        let count = requests.div_ceil(self.senders.len());
        Ok(self.load(Duration::ZERO, count)?.len())
    }

    /// Sends `count` requests on each connection.
    fn load(&mut self, every: Duration, count: usize) -> Result<Vec<Duration>> {
        let connections = u32::try_from(self.senders.len())?;
        let start = Instant::now();
        let (path, body) = (self.path, &self.body);
        let senders = std::mem::take(&mut self.senders);
        let (mut latencies, senders) = self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for (index, sender) in (0..connections).zip(senders) {
                let first = start + every * index / connections;
                tasks.spawn(follow(sender, (path, body.clone()), first, every, count));
            }
            let (mut latencies, mut senders) = (Vec::new(), Vec::new());
            while let Some(done) = tasks.join_next().await {
                let (sender, mut some) = done??;
                senders.push(sender);
                latencies.append(&mut some);
            }
            anyhow::Ok((latencies, senders))
        })?;
        self.senders = senders;
        latencies.sort();
        Ok(latencies)
    }
}

/// The load of one connection.
async fn follow(
    mut sender: Sender,
    (path, body): (&'static str, Bytes),
    first: Instant,
    every: Duration,
    count: usize,
) -> Result<(Sender, Vec<Duration>)> {
    let mut latencies = Vec::with_capacity(count);
    let mut due = first;
    for _ in 0..count {
        // A late answer delays the next request, whose latency is counted from its due time; a late
        // timer of the benchmark itself is not counted.
        let mut from = due;
        if Instant::now() < due {
            sleep_until(due.into()).await;
            from = Instant::now();
        }
        timeout(TIMEOUT, ask(&mut sender, path, body.clone()))
            .await
            .context("an answer")??;
        latencies.push(from.elapsed());
        due += every;
    }
    Ok((sender, latencies))
}

async fn ask(sender: &mut Sender, path: &str, body: Bytes) -> Result<()> {
    let request = Request::post(format!("{path}?timeout=10s"))
        .header(HOST, "localhost")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(body))?;
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let answer = response.into_body().collect().await?.to_bytes();
    // An empty answer must not count as a fast one.
    let has_patch = answer.windows(7).any(|window| window == b"\"patch\"");
    ensure!(
        status == StatusCode::OK && has_patch,
        "not patched: {status}: {}",
        String::from_utf8_lossy(&answer)
    );
    Ok(())
}

/// The latency that this share of all requests did not exceed.
pub(crate) fn quantile(sorted: &[Duration], share: f64) -> Result<Duration> {
    let Some(last) = sorted.len().checked_sub(1) else {
        bail!("no request was made")
    };
    let index = (last as f64 * share).round() as usize;
    Ok(sorted[index])
}
