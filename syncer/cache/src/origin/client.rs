//! Requests to origins: what is sent, and what each status means.

use std::collections::HashMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use args::cache::OriginAddress;
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::ACCEPT;
use hyper::header::ACCEPT_ENCODING;
use hyper::header::AUTHORIZATION;
use hyper::header::CONTENT_TYPE;
use hyper::header::HOST;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::header::USER_AGENT;
use poll::Network;
use poll::PollError;
use poll::Server;
use poll::ServerConnection;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::Url;

use crate::access::credential::Follower;
use crate::access::registry::Denial;
use crate::access::registry::Registry;
use crate::metrics::Metrics;
use crate::origin::error::OriginError;
use crate::origin::head::judge;
use crate::origin::network::CheckedNetwork;
use crate::origin::network::ForbiddenAddress;
use crate::protocol::advertisement;
use crate::protocol::advertisement::AdvertisementError;
use crate::protocol::refs_answer;

/// Requests under way per host; further ones wait.
const MOST_PER_HOST: usize = 32;

/// The timeout of `info/refs` and `ls-refs`, from the connection to the last byte.
const SHORT_TIMEOUT: Duration = Duration::from_secs(30);

/// The timeout of a `fetch` until the head of its answer: the origin may count objects first.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);

/// The timeout between two parts of an answer to `fetch`.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest advertisement in bytes.
pub(crate) const LONGEST_ADVERTISEMENT: usize = 64 << 10;

/// The longest answer to `ls-refs` in bytes; about 250,000 refs.
pub(crate) const LONGEST_REFS: usize = 16 << 20;

/// The user agent. Servers distinguish git from browsers by its name.
const AGENT: HeaderValue = HeaderValue::from_static(concat!(
    "git/2.0 (gitvolume-cache/",
    env!("CARGO_PKG_VERSION"),
    ")"
));

const GIT_PROTOCOL: HeaderName = HeaderName::from_static("git-protocol");
/// The content type of answers to `info/refs`.
pub(crate) const ADVERTISEMENT_TYPE: &str = "application/x-git-upload-pack-advertisement";
const REQUEST_TYPE: &str = "application/x-git-upload-pack-request";
/// The content type of answers to `ls-refs` and `fetch`.
pub(crate) const RESULT_TYPE: &str = "application/x-git-upload-pack-result";

/// The client for all origins.
pub(crate) struct Upstream {
    network: CheckedNetwork,
    ca: Option<PathBuf>,
    registry: Arc<Registry>,
    metrics: Arc<Metrics>,
    permits: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// The answer to a `fetch` while it arrives.
pub(crate) struct FetchStream {
    body: Incoming,
    server: Server,
    connection: ServerConnection,
    _permit: OwnedSemaphorePermit,
    metrics: Arc<Metrics>,
}

impl FetchStream {
    /// The next part of the answer; `None` at its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, OriginError> {
        loop {
            let frame = timeout(IDLE_TIMEOUT, self.body.frame()).await;
            let frame = frame.map_err(|_| OriginError::Away("timeout".to_owned()))?;
            let Some(frame) = frame else {
                return Ok(None);
            };
            let frame = frame.map_err(|error| OriginError::Away(error.to_string()))?;
            if let Ok(data) = frame.into_data() {
                self.metrics.received_bytes.add(data.len() as u64);
                return Ok(Some(data));
            }
        }
    }

    /// Keeps the connection; call it after the end.
    pub(crate) fn finish(self) {
        poll::keep(&self.server, self.connection);
    }
}

impl Upstream {
    pub(crate) fn new(
        network: CheckedNetwork,
        ca: Option<PathBuf>,
        registry: Arc<Registry>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            network,
            ca,
            registry,
            metrics,
            permits: Mutex::default(),
        }
    }

    /// Requests the capabilities of an origin; the result is what followers get.
    pub(crate) async fn info_refs(&self, follower: &Follower) -> Result<Bytes, OriginError> {
        self.check(follower)?;
        self.metrics.origin_info_refs.add(1);
        let answered = async {
            let answer = self.short(follower, None, LONGEST_ADVERTISEMENT).await?;
            match advertisement::for_followers(&answer) {
                Ok(advertisement) => Ok(Bytes::from(advertisement)),
                Err(AdvertisementError::Malformed) => Err(OriginError::Unusable),
                Err(AdvertisementError::Unsupported) => Err(OriginError::Unsupported),
            }
        };
        let answered = self.record(follower, answered.await);
        if answered.is_ok() {
            self.registry.greet(&follower.scope);
        }
        answered
    }

    /// Requests refs of an origin. A valid answer is what accepts a credential.
    pub(crate) async fn ls_refs(
        &self,
        follower: &Follower,
        body: Vec<u8>,
    ) -> Result<Bytes, OriginError> {
        self.check(follower)?;
        self.metrics.origin_ls_refs.add(1);
        let answered = async {
            let answer = self.short(follower, Some(body), LONGEST_REFS).await?;
            refs_answer::check(&answer).map_err(|_| OriginError::Unusable)?;
            Ok(answer)
        };
        let answered = self.record(follower, answered.await);
        if answered.is_ok() {
            self.registry.accept(&follower.scope);
        }
        answered
    }

    /// Requests a pack of an origin.
    pub(crate) async fn fetch(
        &self,
        follower: &Follower,
        body: Vec<u8>,
    ) -> Result<FetchStream, OriginError> {
        self.check(follower)?;
        self.metrics.origin_fetches.add(1);
        let permit = self.permit(&follower.scope.origin).await?;
        let sent = async {
            let (response, server, connection) =
                timeout(HEAD_TIMEOUT, self.send(follower, Some(body)))
                    .await
                    .map_err(|_| OriginError::Away("timeout".to_owned()))??;
            judge(&response, RESULT_TYPE)?;
            Ok(FetchStream {
                body: response.into_body(),
                server,
                connection,
                _permit: permit,
                metrics: Arc::clone(&self.metrics),
            })
        };
        self.record(follower, sent.await)
    }

    fn check(&self, follower: &Follower) -> Result<(), OriginError> {
        let is_anonymous = follower.credential.is_anonymous();
        let checked = self.registry.check(&follower.scope, is_anonymous);
        checked.map_err(OriginError::Denied)
    }

    /// A request with a short answer, which is read to its end.
    async fn short(
        &self,
        follower: &Follower,
        body: Option<Vec<u8>>,
        longest: usize,
    ) -> Result<Bytes, OriginError> {
        let _permit = self.permit(&follower.scope.origin).await?;
        let kind = match body {
            Some(_) => RESULT_TYPE,
            None => ADVERTISEMENT_TYPE,
        };
        let answered = async {
            let (response, server, connection) = self.send(follower, body).await?;
            judge(&response, kind)?;
            let mut answer = Vec::new();
            let mut body = response.into_body();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| OriginError::Away(error.to_string()))?;
                if let Ok(data) = frame.into_data() {
                    answer.extend_from_slice(&data);
                }
                if answer.len() > longest {
                    return Err(OriginError::Unusable);
                }
            }
            poll::keep(&server, connection);
            self.metrics.received_bytes.add(answer.len() as u64);
            Ok(Bytes::from(answer))
        };
        let answered = timeout(SHORT_TIMEOUT, answered).await;
        answered.unwrap_or_else(|_| Err(OriginError::Away("timeout".to_owned())))
    }

    async fn permit(&self, origin: &OriginAddress) -> Result<OwnedSemaphorePermit, OriginError> {
        let permits = {
            let mut all = self.permits.lock().unwrap_or_else(PoisonError::into_inner);
            // Those of no request are made again when they are needed.
            all.retain(|_, permits| Arc::strong_count(permits) > 1);
            let permits = all.entry(origin.authority());
            Arc::clone(permits.or_insert_with(|| Arc::new(Semaphore::new(MOST_PER_HOST))))
        };
        let permit = permits.acquire_owned().await;
        permit.map_err(|error| OriginError::Away(error.to_string()))
    }

    async fn send(
        &self,
        follower: &Follower,
        body: Option<Vec<u8>>,
    ) -> Result<(Response<Incoming>, Server, ServerConnection), OriginError> {
        let origin = &follower.scope.origin;
        let away = |error: &dyn Error| OriginError::Away(chain(error));
        let tls = self.network.tls(self.ca.as_deref());
        let tls = tls.map_err(|error| OriginError::Certificate(chain(&*error)))?;
        let url = Url::parse(&origin.to_string()).map_err(|_| OriginError::Unsupported)?;
        let server = Server::of(&url, tls, None).ok_or(OriginError::Unsupported)?;
        let request = request(follower, origin.path(), &origin.authority(), body);
        let request = request.map_err(|error| away(&error))?;
        match poll::send(&self.network, &server, &request).await {
            Ok((response, connection)) => Ok((response, server, connection)),
            Err(PollError::Connect(error)) => {
                let cause = error.get_ref();
                if cause.is_some_and(|cause| cause.is::<ForbiddenAddress>()) {
                    Err(OriginError::Forbidden)
                } else if cause.is_some_and(|cause| cause.is::<rustls::Error>()) {
                    Err(OriginError::Certificate(error.to_string()))
                } else {
                    Err(away(&error))
                }
            }
            Err(error) => Err(away(&error)),
        }
    }

    /// Records in the registry what a result means for the credential and its host.
    fn record<T>(
        &self,
        follower: &Follower,
        result: Result<T, OriginError>,
    ) -> Result<T, OriginError> {
        let scope = &follower.scope;
        match &result {
            Ok(_) | Err(OriginError::Unsupported | OriginError::Unusable) => {
                self.registry.record_reachable(scope, true);
            }
            Err(OriginError::Away(_)) => self.registry.record_reachable(scope, false),
            Err(OriginError::Denied(denial)) => {
                self.registry.record_reachable(scope, true);
                match denial {
                    Denial::Refused(refusal) => {
                        let is_anonymous = follower.credential.is_anonymous();
                        self.registry.refuse(scope, is_anonymous, refusal.clone());
                    }
                    Denial::Later(wait) => self.registry.pause(scope, *wait),
                }
            }
            // Nothing is known about the origin.
            Err(OriginError::Certificate(_) | OriginError::Forbidden) => {}
        }
        if let Err(error) = &result {
            self.metrics.origin_errors.add(1);
            tracing::info!(v = 1, origin = %scope.origin, %error, "a request to a git host failed");
        }
        result
    }
}

/// The one request that is sent for a repository at a path of a host: of a follower's headers only
/// `Authorization` is in it.
pub(crate) fn request(
    follower: &Follower,
    path: &str,
    host: &str,
    body: Option<Vec<u8>>,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let (method, path) = match body {
        Some(_) => (Method::POST, format!("{path}/git-upload-pack")),
        None => (
            Method::GET,
            format!("{path}/info/refs?service=git-upload-pack"),
        ),
    };
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, host)
        .header(USER_AGENT, AGENT)
        .header(GIT_PROTOCOL, "version=2")
        // The bytes are passed on and kept as they are.
        .header(ACCEPT_ENCODING, "identity");
    if body.is_some() {
        request = request
            .header(CONTENT_TYPE, REQUEST_TYPE)
            .header(ACCEPT, RESULT_TYPE);
    }
    if let Some(value) = follower.credential.header() {
        request = request.header(AUTHORIZATION, value);
    }
    request.body(Full::from(body.unwrap_or_default()))
}

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
