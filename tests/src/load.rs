//! A load of admissions at a steady rate: one Pod, created again and again on a real API server with
//! a server-side dry run, which asks every webhook and stores nothing, so that a node that holds a
//! hundred Pods can be asked for thousands. Or, where there is no API server that could ask, the same
//! question put to a replica of the webhook.

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

use crate::control_plane::ADMIN_TOKEN;
use crate::control_plane::ControlPlane;
use crate::https;
use crate::https::Sender;

/// Connections, and so requests at a time.
const CONNECTIONS: u32 = 32;
/// How long one request may take: longer than the API server waits for a webhook.
const PATIENCE: Duration = Duration::from_secs(15);
/// What an injected Pod has and no other.
const INJECTED: &[u8] = b"\"gitvolume.dev/status\":";
/// What an answer with a patch has and no other.
const PATCHED: &[u8] = b"\"patch\":\"";

/// A load that goes on until it is ended.
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

/// Who is asked, and what.
#[derive(Debug)]
struct Target {
    name: ServerName<'static>,
    address: SocketAddr,
    path: String,
    authorization: Option<String>,
    body: Bytes,
    /// The status of an answer.
    answered: StatusCode,
    /// What is in the answer that a Pod is injected by.
    injected: &'static [u8],
}

/// What became of the requests.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Pods admitted with our patch in them.
    pub injected: usize,
    /// Pods admitted without it.
    pub bare: usize,
    /// Pods refused, each in the API server's words.
    pub refused: Vec<Failure>,
    /// Requests that the API server itself did not answer.
    pub unanswered: Vec<Failure>,
    /// How long each answer took.
    pub took: Vec<Duration>,
}

/// A request that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// When its answer, or the lack of one, was known.
    pub at: Instant,
    /// The status and message, or the connection's error.
    pub said: String,
}

impl Load {
    /// Begins to create this Pod in a namespace, so many times a second. Its name should be a
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

    /// Begins to put this AdmissionReview to the webhook at an address, so many times a second. Its
    /// certificate must be for this name, by an authority of this file.
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
        // One thread: the load needs little, and what it takes is missing on the other side.
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

    /// What became of the requests so far.
    pub fn so_far(&self) -> Tally {
        self.shared.tally().clone()
    }

    /// Ends it and answers what became of all requests.
    pub fn end(self) -> Result<Tally> {
        self.shared.ended.store(true, Ordering::Relaxed);
        let ended = self.thread.join();
        ended.map_err(|_| anyhow!("the load panicked"))??;
        Ok(self.shared.tally().clone())
    }
}

impl Tally {
    /// How many requests were made.
    pub fn asked(&self) -> usize {
        self.injected + self.bare + self.refused.len() + self.unanswered.len()
    }

    /// How many did not become an injected Pod.
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

    /// Waits for the next request's turn; `None` at the end.
    async fn turn(&self) -> Option<()> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        sleep_until((self.start + self.every * number).into()).await;
        (!self.ended.load(Ordering::Relaxed)).then_some(())
    }
}

/// One connection's part: whenever it is free it takes the next turn, so that a late answer delays
/// nobody else's.
async fn ask_on(shared: Arc<Shared>, connector: TlsConnector) {
    let mut sender = None;
    while shared.turn().await.is_some() {
        let asked = Instant::now();
        let one = timeout(PATIENCE, ask(&shared.target, &connector, &mut sender)).await;
        let answered = one.unwrap_or_else(|_| Err(anyhow!("no answer within {PATIENCE:?}")));
        let at = Instant::now();
        let mut tally = shared.tally();
        match answered {
            Ok((status, body)) if status == shared.target.answered => {
                tally.took.push(at - asked);
                let injected = shared.target.injected;
                let is_injected = body.windows(injected.len()).any(|part| part == injected);
                *match is_injected {
                    true => &mut tally.injected,
                    false => &mut tally.bare,
                } += 1;
            }
            Ok((status, body)) => {
                tally.took.push(at - asked);
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
    // Kept again only if the answer was read to its end.
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

/// The sentence in an API server's Status, or whatever else it said.
fn message(body: &[u8]) -> String {
    let status: Option<Value> = serde_json::from_slice(body).ok();
    let said = status.and_then(|status| status["message"].as_str().map(str::to_owned));
    said.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned())
}
