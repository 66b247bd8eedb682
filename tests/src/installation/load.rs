//! Load generator that sends admissions at a steady rate: it creates one Pod again and again on a
//! real API server with a server-side dry run, which calls every webhook and stores nothing, so a
//! node with room for a hundred Pods can serve thousands of requests. Without an API server it
//! sends the AdmissionReview directly to a replica of the webhook.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::Result;
use anyhow::anyhow;
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::Request;
use hyper::StatusCode;
use hyper::header::AUTHORIZATION;
use hyper::header::CONTENT_TYPE;
use hyper::header::HOST;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::runtime;
use tokio::time::sleep_until;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::https;
use crate::https::Sender;
use crate::kubernetes::control_plane::ADMIN_TOKEN;
use crate::kubernetes::control_plane::ControlPlane;

/// Number of connections, and so of concurrent requests.
const CONNECTIONS: u32 = 32;
/// Timeout of one request: longer than the API server's timeout for a webhook.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Occurs only in an injected Pod.
const INJECTED: &[u8] = b"\"gitvolume.dev/status\":";
/// Occurs only in a response with a patch.
const PATCHED: &[u8] = b"\"patch\":\"";

/// A load that continues until [`Load::end`].
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    thread: JoinHandle<Result<()>>,
}

#[derive(Debug)]
struct Shared {
    target: Target,
    every: Duration,
    start: Instant,
    next: AtomicU32,
    ended: AtomicBool,
    tally: Mutex<Tally>,
}

/// Destination and body of the requests.
#[derive(Debug)]
struct Target {
    name: ServerName<'static>,
    address: SocketAddr,
    path: String,
    authorization: Option<String>,
    body: Bytes,
    /// Status of a successful response.
    answered: StatusCode,
    /// Text that a response contains only if the Pod is injected.
    injected: &'static [u8],
}

/// Results of the requests.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Pods admitted with our patch.
    pub injected: usize,
    /// Pods admitted without our patch.
    pub bare: usize,
    /// Pods rejected by the API server, with its message.
    pub refused: Vec<Failure>,
    /// Requests without a response from the API server.
    pub unanswered: Vec<Failure>,
    /// Latency of each response.
    pub took: Vec<Duration>,
}

/// A request that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Time of the response, or of the failure to get one.
    pub at: Instant,
    /// Status and message, or the connection's error.
    pub said: String,
}

impl Load {
    /// Starts to create this Pod in a namespace at this rate per second. Its name should be a
    /// `generateName`.
    pub fn start(
        plane: &ControlPlane,
        namespace: &str,
        pod: &Value,
        per_second: u32,
    ) -> Result<Self> {
        let address = plane.url().strip_prefix("https://").context("an address")?;
        let address: SocketAddr = address.parse()?;
        let target = Target {
            name: ServerName::IpAddress(address.ip().into()),
            address,
            path: format!("/api/v1/namespaces/{namespace}/pods?dryRun=All"),
            authorization: Some(format!("Bearer {ADMIN_TOKEN}")),
            body: pod.to_string().into(),
            answered: StatusCode::CREATED,
            injected: INJECTED,
        };
        Self::on(target, https::connector(&plane.ca())?, per_second)
    }

    /// Starts to send this AdmissionReview to the webhook at an address, at this rate per second.
    /// The certificate must be valid for this name and signed by a CA in this file.
    pub fn of_reviews(
        name: &str,
        address: SocketAddr,
        ca: &Path,
        review: &Value,
        per_second: u32,
    ) -> Result<Self> {
        let target = Target {
            name: name.to_owned().try_into()?,
            address,
            path: "/mutate?timeout=5s".to_owned(),
            authorization: None,
            body: review.to_string().into(),
            answered: StatusCode::OK,
            injected: PATCHED,
        };
        Self::on(target, https::connector(ca)?, per_second)
    }

    fn on(target: Target, connector: TlsConnector, per_second: u32) -> Result<Self> {
        // One thread: the load needs little CPU, and what it uses is not available to the servers
        // under test.
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let shared = Arc::new(Shared {
            target,
            every: Duration::from_secs(1) / per_second,
            start: Instant::now(),
            next: AtomicU32::new(0),
            ended: AtomicBool::new(false),
            tally: Mutex::default(),
        });
        let all = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let askers: Vec<_> = (0..CONNECTIONS)
                    .map(|_| tokio::spawn(ask_on(Arc::clone(&all), connector.clone())))
                    .collect();
                for asker in askers {
                    asker.await?;
                }
                Ok(())
            })
        });
        Ok(Self { shared, thread })
    }

    /// The results so far.
    pub fn so_far(&self) -> Tally {
        self.shared.tally().clone()
    }

    /// Ends the load and returns all results.
    pub fn end(self) -> Result<Tally> {
        self.shared.ended.store(true, Ordering::Relaxed);
        let ended = self.thread.join();
        ended.map_err(|_| anyhow!("the load panicked"))??;
        Ok(self.shared.tally().clone())
    }
}

impl Tally {
    /// Number of requests.
    pub fn asked(&self) -> usize {
        self.injected + self.bare + self.refused.len() + self.unanswered.len()
    }

    /// Number of requests that did not result in an injected Pod.
    pub fn failed(&self) -> usize {
        self.asked() - self.injected
    }

    fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.took.clone();
        sorted.sort();
        let index = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
        sorted.get(index).copied().unwrap_or_default()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} asked: {} injected, {} admitted without, {} refused, {} unanswered; median {:.1?}, \
             p99 {:.1?}, longest {:.1?}",
            self.asked(),
            self.injected,
            self.bare,
            self.refused.len(),
            self.unanswered.len(),
            self.quantile(0.5),
            self.quantile(0.99),
            self.quantile(1.0),
        )?;
        for (kind, failures) in [("refused", &self.refused), ("unanswered", &self.unanswered)] {
            let ends = failures.iter().take(3).chain(failures.last());
            for failure in ends {
                write!(f, "\n  {kind}: {}", failure.said)?;
            }
        }
        Ok(())
    }
}

impl Shared {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the next request is due; `None` at the end.
    async fn turn(&self) -> Option<()> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        sleep_until((self.start + self.every * number).into()).await;
        (!self.ended.load(Ordering::Relaxed)).then_some(())
    }
}

/// Sends requests on one connection: whenever it is free it takes the next due request, so a slow
/// response delays only this connection.
async fn ask_on(shared: Arc<Shared>, connector: TlsConnector) {
    let mut sender = None;
    while shared.turn().await.is_some() {
        let started = Instant::now();
        let one = timeout(TIMEOUT, ask(&shared.target, &connector, &mut sender)).await;
        let answered = one.unwrap_or_else(|_| Err(anyhow!("no answer within {TIMEOUT:?}")));
        let at = Instant::now();
        let mut tally = shared.tally();
        match answered {
            Ok((status, body)) if status == shared.target.answered => {
                tally.took.push(at - started);
                let injected = shared.target.injected;
                let is_injected = body.windows(injected.len()).any(|part| part == injected);
                *match is_injected {
                    true => &mut tally.injected,
                    false => &mut tally.bare,
                } += 1;
            }
            Ok((status, body)) => {
                tally.took.push(at - started);
                let said = format!("{status}: {}", message(&body));
                tally.refused.push(Failure { at, said });
            }
            Err(error) => {
                sender = None;
                let said = format!("{error:#}");
                tally.unanswered.push(Failure { at, said });
            }
        }
    }
}

async fn ask(
    target: &Target,
    connector: &TlsConnector,
    kept: &mut Option<Sender>,
) -> Result<(StatusCode, Bytes)> {
    // The connection is reused only if the response was read completely.
    let mut sender = match kept.take() {
        Some(sender) if !sender.is_closed() => sender,
        _ => https::connect_to(target.name.clone(), target.address, connector).await?,
    };
    sender.ready().await?;
    let mut request = Request::post(&target.path)
        .header(HOST, target.address.to_string())
        .header(CONTENT_TYPE, "application/json");
    if let Some(authorization) = &target.authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let request = request.body(Full::new(target.body.clone()))?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    *kept = Some(sender);
    Ok((head.status, body))
}

/// The message of an API server's Status, or the whole body if it is not a Status.
fn message(body: &[u8]) -> String {
    let status: Option<Value> = serde_json::from_slice(body).ok();
    let said = status.and_then(|status| status["message"].as_str().map(str::to_owned));
    said.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned())
}
