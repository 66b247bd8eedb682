//! The service as a whole: what every request passes before it is answered.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::Weak;
use std::time::Duration;

use args::cache::OriginAddress;
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Limited;
use hyper::HeaderMap;
use hyper::Request;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::CONTENT_ENCODING;
use hyper::header::CONTENT_TYPE;
use tokio::sync::Semaphore;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio::time::timeout;

use crate::access::credential::Credential;
use crate::access::credential::Follower;
use crate::access::credential::IdentityKey;
use crate::access::credential::Scope;
use crate::access::registry::Registry;
use crate::access::wake_key::WakeKey;
use crate::address::allowed_hosts::AllowedHost;
use crate::cas::ReplicaCas;
use crate::metrics::Metrics;
use crate::origin::client::Upstream;
use crate::packs::flights::Flights;
use crate::peers::purpose::PeerPurpose;
use crate::peers::table::Peers;
use crate::protocol::inflate::gunzip;
use crate::protocol::request;
use crate::protocol::request::RequestError;
use crate::refs::table::RefsTable;
use crate::refs::watches::Watches;
use crate::service::conditions::Conditions;
use crate::service::first_clones::FirstClones;
use crate::service::reply;
use crate::service::reply::Refused;
use crate::service::reply::Reply;
use crate::service::route::Route;
use crate::store::disk::Store;

/// The longest body as it is received, in bytes.
const LONGEST_BODY: usize = 1 << 20;

/// The longest body after it was inflated: about 80,000 objects.
const LONGEST_INFLATED: usize = 4 << 20;

/// The timeout of reading a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Bodies that are read at the same time; further ones wait.
const MOST_BODIES: usize = 64;

/// The stage of the process.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Stage {
    #[default]
    Serving,
    /// Waiting followers are answered, and every answer closes its connection.
    Draining,
}

/// Waits until the process drains; a dropped sender counts as that.
pub(crate) async fn draining(stage: &mut watch::Receiver<Stage>) {
    // An error means that the sender is gone, and the process with it.
    let _ = stage.wait_for(|stage| *stage == Stage::Draining).await;
}

/// The service.
pub(crate) struct Service {
    pub(crate) allowed_hosts: Vec<AllowedHost>,
    pub(crate) identities: IdentityKey,
    pub(crate) registry: Arc<Registry>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) refs: Arc<RefsTable>,
    pub(crate) watches: Watches,
    pub(crate) flights: Flights,
    pub(crate) peers: Option<Arc<Peers>>,
    pub(crate) cas: Option<Arc<ReplicaCas>>,
    pub(crate) store: Arc<Store>,
    pub(crate) metrics: Arc<Metrics>,
    /// Packs that may be sent at the same time.
    pub(crate) transfers: Arc<Semaphore>,
    pub(crate) stage: watch::Receiver<Stage>,
    pub(crate) drain_spread: Duration,
    pub(crate) wake_key: Option<Arc<WakeKey>>,
    pub(crate) tables: ServiceTables,
    pub(crate) bodies: Bodies,
}

/// Limits the bodies in memory.
pub(crate) struct Bodies(Semaphore);

impl Default for Bodies {
    fn default() -> Self {
        Self(Semaphore::new(MOST_BODIES))
    }
}

/// What the service remembers of repositories.
#[derive(Default)]
pub(crate) struct ServiceTables {
    /// Capabilities, with the time at which they were advertised.
    pub(crate) advertisements: Mutex<HashMap<Arc<OriginAddress>, (Bytes, Instant)>>,
    /// One request for capabilities per credential at a time.
    pub(crate) greetings: Mutex<HashMap<Scope, Weak<tokio::sync::Mutex<()>>>>,
    pub(crate) first_clones: Mutex<FirstClones>,
}

/// Locks a table of the service.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Service {
    /// What a request of git needs before it is answered: a route to an allowed host, protocol
    /// version 2, a supported credential.
    pub(crate) fn admit(
        &self,
        headers: &HeaderMap,
        origin: OriginAddress,
    ) -> Result<Follower, Refused> {
        if !self.allowed_hosts.iter().any(|host| host.allows(&origin)) {
            let sentence = "the host is not in --allowed-hosts";
            return Err(reply::text(StatusCode::FORBIDDEN, sentence));
        }
        let protocol = headers.get("git-protocol");
        let protocol = protocol.and_then(|value| value.to_str().ok());
        let is_second = protocol.is_some_and(|it| it.split(':').any(|it| it == "version=2"));
        if !is_second {
            let sentence = "the cache supports git's protocol version 2 only";
            return Err(reply::text(StatusCode::NOT_IMPLEMENTED, sentence));
        }
        let credential = Credential::read(headers).map_err(|_| {
            let sentence = "the cache supports the schemes Basic and Bearer only";
            reply::text(StatusCode::NOT_IMPLEMENTED, sentence)
        })?;
        let identity = self.identities.identity(&credential);
        let origin = Arc::new(origin);
        Ok(Follower {
            scope: Scope { origin, identity },
            credential,
        })
    }

    /// Reads a request of git.
    pub(crate) async fn read(
        &self,
        request: Request<Incoming>,
    ) -> Result<request::Request, Refused> {
        let is = |name, value: &str| {
            let found = request.headers().get(name);
            found.is_some_and(|found| found.as_bytes() == value.as_bytes())
        };
        if !is(CONTENT_TYPE, "application/x-git-upload-pack-request") {
            let sentence = "the content type is not git's";
            return Err(reply::text(StatusCode::BAD_REQUEST, sentence));
        }
        let is_gzip = is(CONTENT_ENCODING, "gzip");
        if !is_gzip && request.headers().contains_key(CONTENT_ENCODING) {
            let sentence = "the cache supports the content encoding gzip only";
            return Err(reply::text(StatusCode::NOT_IMPLEMENTED, sentence));
        }
        let body = self.body(request, LONGEST_BODY).await?;
        let inflated = match is_gzip {
            true => gunzip(&body, LONGEST_INFLATED).map(Bytes::from),
            false => Some(body),
        };
        let Some(body) = inflated else {
            let sentence = "the body is not gzip, or too long";
            return Err(reply::text(StatusCode::BAD_REQUEST, sentence));
        };
        request::Request::parse(&body).map_err(|error| {
            let status = match error {
                RequestError::Malformed => StatusCode::BAD_REQUEST,
                RequestError::Unsupported => StatusCode::NOT_IMPLEMENTED,
            };
            reply::text(status, &error.to_string())
        })
    }

    /// Reads a body up to a limit in bytes and in time.
    pub(crate) async fn body(
        &self,
        request: Request<Incoming>,
        longest: usize,
    ) -> Result<Bytes, Refused> {
        // The semaphore is never closed.
        let _permit = self.bodies.0.acquire().await.ok();
        let body = Limited::new(request.into_body(), longest).collect();
        match timeout(BODY_TIMEOUT, body).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(_)) => Err(reply::text(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is too long or incomplete",
            )),
            Err(_) => Err(reply::text(
                StatusCode::REQUEST_TIMEOUT,
                "the body did not arrive in time",
            )),
        }
    }

    /// Waits for a random part of the time over which followers are answered when the process drains.
    pub(crate) async fn spread_drain(&self) {
        tokio::time::sleep(self.drain_spread.mul_f64(fastrand::f64())).await;
    }

    /// Answers a request.
    pub(crate) async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Reply {
        let answered = self.dispatch(request).await;
        let reply = answered.unwrap_or_else(|refused| *refused);
        if reply.status().is_client_error() || reply.status() == StatusCode::NOT_IMPLEMENTED {
            self.metrics.refused.add(1);
        }
        reply
    }

    // Boxed: what is large and does not wait. Else each waiting follower would have its memory.
    async fn dispatch(self: &Arc<Self>, request: Request<Incoming>) -> Result<Reply, Refused> {
        let route = Route::parse(request.method(), request.uri());
        match route.map_err(|(status, sentence)| reply::text(status, sentence))? {
            Route::Wake => {
                self.metrics.wakes.add(1);
                self.wake(request).await
            }
            Route::Watch => {
                self.metrics.watches.add(1);
                self.watch(request).await
            }
            Route::Cas => self.cas(),
            Route::InfoRefs(origin) => {
                let follower = self.admit(request.headers(), origin)?;
                if PeerPurpose::read(request.headers()).is_some() {
                    self.metrics.of_peers.add(1);
                    return self.info_refs_for_peer(&follower);
                }
                self.metrics.info_refs.add(1);
                Box::pin(self.info_refs(&follower)).await
            }
            Route::UploadPack(origin) => {
                let follower = self.admit(request.headers(), origin)?;
                let conditions = Conditions::read(request.headers());
                let request = self.read(request).await?;
                if let Some(purpose) = conditions.purpose {
                    self.metrics.of_peers.add(1);
                    let answered = self.upload_pack_for_peer(&follower, &request, purpose);
                    return Box::pin(answered).await;
                }
                match request {
                    request::Request::LsRefs(request) => {
                        self.metrics.ls_refs.add(1);
                        self.ls_refs(follower, request, conditions).await
                    }
                    request::Request::Fetch(request) => {
                        self.metrics.fetches.add(1);
                        let answered = self.fetch(&follower, &request, conditions.is_forced);
                        Box::pin(answered).await
                    }
                    request::Request::Probe => self.probe(&follower),
                }
            }
        }
    }
}
