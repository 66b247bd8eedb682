//! Packs: from the store, from a request that is under way, or from the origin.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::TryStreamExt;
use hyper::header::CONTENT_LENGTH;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio::time::timeout;

use crate::access::credential::Follower;
use crate::access::registry::ACCEPTED;
use crate::access::registry::Denial;
use crate::origin::client::RESULT_TYPE;
use crate::origin::error::OriginError;
use crate::packs::flight;
use crate::packs::flight::FlightError;
use crate::packs::flight::Progress;
use crate::packs::flight::SourceOrder;
use crate::packs::flights::Audience;
use crate::packs::source;
use crate::protocol::request::Fetch;
use crate::service::gate::Service;
use crate::service::reply;
use crate::service::reply::Refused;
use crate::service::reply::Reply;
use crate::store::disk::StoredAnswer;
use crate::store::key::Key;

/// The longest time that a follower waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(30);

impl Service {
    /// Answers `fetch`; `is_forced` if the follower rejects a stored answer.
    pub(crate) async fn fetch(
        self: &Arc<Self>,
        follower: &Follower,
        request: &Fetch,
        is_forced: bool,
    ) -> Result<Reply, Refused> {
        self.check_refusal(follower)?;
        let key = Key::new(&follower.scope.origin, &request.to_body());
        let audience = self.audience(follower, request).await?;
        let is_shared = audience == Audience::Shared;
        if is_shared {
            self.remember_first_clone(follower, request);
        }
        let permit = timeout(TURN_TIMEOUT, Arc::clone(&self.transfers).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            return Err(reply::later(
                Duration::from_secs(1),
                "too many packs are being sent",
            ));
        };
        let mut order = SourceOrder::PeersFirst;
        if is_forced {
            order = SourceOrder::OriginOnly;
            tracing::info!(v = 1, origin = %follower.scope.origin, "a follower rejects a stored answer");
        } else if (is_shared || self.registry.is_granted(&follower.scope, key.0))
            && let Some(stored) = self.stored(key).await
        {
            self.metrics.hits.add(1);
            let bytes = self.counted(flight::stored(stored.file, stored.length), permit);
            let mut reply = reply::git(RESULT_TYPE, reply::stream(bytes));
            reply::set_header(&mut reply, CONTENT_LENGTH, &stored.length.to_string());
            return Ok(reply);
        }
        self.fly(follower, request, key, (audience, order), permit)
            .await
    }

    /// Joins a request to the origin, or sends one.
    async fn fly(
        &self,
        follower: &Follower,
        request: &Fetch,
        key: Key,
        (mut audience, order): (Audience, SourceOrder),
        permit: OwnedSemaphorePermit,
    ) -> Result<Reply, Refused> {
        let own = Audience::Own(follower.scope.identity);
        while self.store.can_store(key) {
            let joined = self.flights.join(follower, request, key, audience, order);
            let Some((flight, is_leader)) = joined else {
                return Err(reply::later(
                    Duration::from_secs(1),
                    "too many packs are fetched",
                ));
            };
            if !is_leader {
                self.metrics.hits.add(1);
            }
            match flight.begun().await {
                Progress::Failed(FlightError::Store) => break,
                Progress::Failed(FlightError::Origin(OriginError::Denied(_)))
                    if flight.leader.scope.identity != follower.scope.identity =>
                {
                    // The origin refuses the leader; whether it accepts this follower is not known.
                    audience = own;
                }
                Progress::Failed(FlightError::Origin(error)) => {
                    return Err(self.refusal(follower, &error));
                }
                Progress::Waiting
                | Progress::AtPeer
                | Progress::Running { .. }
                | Progress::Complete { .. } => {
                    let bytes = self.counted(flight.bytes(), permit);
                    return Ok(reply::git(RESULT_TYPE, reply::stream(bytes)));
                }
            }
        }
        let direct = source::direct(&self.upstream, follower, request).await;
        let bytes = direct.map_err(|error| self.refusal(follower, &error))?;
        let bytes = self.counted(bytes, permit);
        Ok(reply::git(RESULT_TYPE, reply::stream(bytes)))
    }

    /// Who may share the answer to a request of this follower: other credentials only if its own
    /// `ls-refs` has advertised every wanted object, and the origin has answered it recently.
    pub(crate) async fn audience(
        &self,
        follower: &Follower,
        request: &Fetch,
    ) -> Result<Audience, Refused> {
        let (scope, wants) = (&follower.scope, &request.wants);
        let own = Audience::Own(scope.identity);
        if self.is_shared(follower, request) {
            return Ok(Audience::Shared);
        }
        // Refs that were advertised longer ago are asked for again.
        let Some(slot) = self.refs.advertising(scope, wants) else {
            return Ok(own);
        };
        match self.refs.ask(&slot, follower, Instant::now()).await {
            Ok(_) if self.refs.advertises(scope, wants, ACCEPTED) => Ok(Audience::Shared),
            Err(error @ OriginError::Denied(Denial::Refused(_))) => {
                Err(self.refusal(follower, &error))
            }
            Err(OriginError::Away(_)) if self.registry.is_accepted_offline(scope) => {
                Ok(Audience::Shared)
            }
            // The origin decides about the request itself.
            Ok(_) | Err(_) => Ok(own),
        }
    }

    /// Whether a credential may have a shared answer, as far as this replica knows without the git
    /// host.
    pub(crate) fn is_shared(&self, follower: &Follower, request: &Fetch) -> bool {
        let (scope, wants) = (&follower.scope, &request.wants);
        let is_recent =
            self.registry.is_accepted(scope) && self.refs.advertises(scope, wants, ACCEPTED);
        is_recent
            || (self.registry.is_accepted_offline(scope)
                && self.refs.advertising(scope, wants).is_some())
    }

    pub(crate) async fn stored(&self, key: Key) -> Option<StoredAnswer> {
        let store = Arc::clone(&self.store);
        let read = tokio::task::spawn_blocking(move || store.get(key)).await;
        read.ok().flatten()
    }

    /// Counts the bytes of an answer, and holds its turn until the last one.
    fn counted<S>(
        &self,
        bytes: S,
        permit: OwnedSemaphorePermit,
    ) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static + use<S>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    {
        let metrics = Arc::clone(&self.metrics);
        held(bytes, permit).inspect_ok(move |bytes| metrics.sent_bytes.add(bytes.len() as u64))
    }
}

/// Holds the turn of an answer until its last byte.
pub(crate) fn held<S>(
    bytes: S,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static + use<S>
where
    S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
{
    bytes.inspect_ok(move |_| {
        let _ = &permit;
    })
}
