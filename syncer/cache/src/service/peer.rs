//! Requests between replicas: what this one answers to another, and what it asks another.
//!
//! Another replica gets what the follower whose credential it presents would get here, or less.

use std::sync::Arc;
use std::time::Duration;

use args::cache::AS_OF;
use args::cache::STALE;
use bytes::Bytes;
use hyper::HeaderMap;
use hyper::StatusCode;
use hyper::header::CONTENT_LENGTH;
use jiff::Timestamp;
use tokio::time::Instant;
use tokio::time::timeout;

use crate::access::credential::Follower;
use crate::origin::client::LONGEST_ADVERTISEMENT;
use crate::origin::client::LONGEST_REFS;
use crate::origin::client::RESULT_TYPE;
use crate::packs::flight;
use crate::packs::flight::Flight;
use crate::packs::flight::Progress;
use crate::packs::flight::SourceOrder;
use crate::packs::flights::Audience;
use crate::peers::purpose::PeerPurpose;
use crate::protocol::advertisement;
use crate::protocol::refs_answer;
use crate::protocol::request;
use crate::protocol::request::Fetch;
use crate::protocol::request::LsRefs;
use crate::refs::answer::RefsAnswer;
use crate::refs::slot::Slot;
use crate::refs::table::LEAST_PAUSE;
use crate::service::fetch::held;
use crate::service::gate::Service;
use crate::service::info_refs;
use crate::service::ls_refs;
use crate::service::reply;
use crate::service::reply::Refused;
use crate::service::reply::Reply;
use crate::store::key::Key;

/// The longest time in which a replica that leads finds out whether the credential may have the pack;
/// then the other one asks the git host.
const LEAD_TIMEOUT: Duration = Duration::from_secs(2);

impl Service {
    /// Answers another replica's `info/refs`.
    pub(crate) fn info_refs_for_peer(&self, follower: &Follower) -> Result<Reply, Refused> {
        self.check_refusal(follower)?;
        let known = self.known_capabilities(follower);
        known.map(info_refs::advertisement).ok_or_else(nothing)
    }

    /// Answers another replica's request for refs or a pack.
    pub(crate) async fn upload_pack_for_peer(
        &self,
        follower: &Follower,
        request: &request::Request,
        purpose: PeerPurpose,
    ) -> Result<Reply, Refused> {
        match request {
            request::Request::LsRefs(request) => self.ls_refs_for_peer(follower, request),
            request::Request::Fetch(request) => {
                self.fetch_for_peer(follower, request, purpose).await
            }
            request::Request::Probe => Err(nothing()),
        }
    }

    /// Answers another replica's `ls-refs`: only while the host is away.
    fn ls_refs_for_peer(&self, follower: &Follower, request: &LsRefs) -> Result<Reply, Refused> {
        self.check_refusal(follower)?;
        let slot = self.refs.known(&follower.scope, request.to_body());
        let answer = slot.and_then(|slot| slot.answer());
        let is_served = self.registry.is_accepted_offline(&follower.scope);
        let answer = answer.filter(|_| is_served).ok_or_else(nothing)?;
        let body = reply::full(answer.body.bytes.clone());
        let mut reply = reply::git(RESULT_TYPE, body);
        ls_refs::set_headers(&mut reply, &answer, true);
        Ok(reply)
    }

    /// Answers another replica's `fetch`.
    async fn fetch_for_peer(
        &self,
        follower: &Follower,
        request: &Fetch,
        purpose: PeerPurpose,
    ) -> Result<Reply, Refused> {
        self.check_refusal(follower)?;
        let key = Key::new(&follower.scope.origin, &request.to_body());
        let permit = Arc::clone(&self.transfers).try_acquire_owned();
        let permit = permit.map_err(|_| nothing())?;
        let is_shared = match purpose {
            PeerPurpose::Stored => self.is_shared(follower, request),
            PeerPurpose::Lead => {
                let asking = self.is_shared_now(follower, request);
                timeout(LEAD_TIMEOUT, asking).await.unwrap_or(Ok(false))?
            }
        };
        if (is_shared || self.registry.is_granted(&follower.scope, key.0))
            && let Some(stored) = self.stored(key).await
        {
            let bytes = held(flight::stored(stored.file, stored.length), permit);
            let mut reply = reply::git(RESULT_TYPE, reply::stream(bytes));
            reply::set_header(&mut reply, CONTENT_LENGTH, &stored.length.to_string());
            return Ok(reply);
        }
        if !is_shared {
            return Err(nothing());
        }
        let flight = match purpose {
            PeerPurpose::Stored => self.flights.under_way(key, Audience::Shared),
            PeerPurpose::Lead if self.store.can_store(key) => {
                let (audience, order) = (Audience::Shared, SourceOrder::OriginOnly);
                let joined = self.flights.join(follower, request, key, audience, order);
                joined.map(|(flight, _)| flight)
            }
            PeerPurpose::Lead => None,
        };
        let flight = flight.filter(|flight| is_given(flight, purpose));
        let bytes = held(flight.ok_or_else(nothing)?.bytes(), permit);
        Ok(reply::git(RESULT_TYPE, reply::stream(bytes)))
    }

    /// Whether a credential may have a shared answer, after refs that this replica's followers use with this credential were asked for:
    /// the other replica may have seen a commit first.
    async fn is_shared_now(&self, follower: &Follower, request: &Fetch) -> Result<bool, Refused> {
        let arrived = Instant::now();
        if self.audience(follower, request).await? == Audience::Shared {
            return Ok(true);
        }
        let not_before = arrived.checked_sub(LEAST_PAUSE).unwrap_or(arrived);
        self.refs.refresh(follower, not_before).await;
        Ok(self.is_shared(follower, request))
    }

    /// Capabilities that another replica knows while the host is away.
    pub(crate) async fn capabilities_of_peers(&self, follower: &Follower) -> Option<Bytes> {
        let answer = self.peers.as_ref()?.known(follower, None).await?;
        let bytes = answer.read(LONGEST_ADVERTISEMENT).await?;
        let checked = advertisement::for_followers(&bytes).ok()?;
        Some(Bytes::from(checked))
    }

    /// Refs that another replica serves while the host is away. From then on this replica serves
    /// them, too.
    pub(crate) async fn refs_of_peers(
        &self,
        slot: &Arc<Slot>,
        follower: &Follower,
    ) -> Option<RefsAnswer> {
        let peers = self.peers.as_ref()?;
        let answer = peers.known(follower, Some(&slot.request)).await?;
        let (as_of, age) = stale(answer.headers())?;
        let bytes = answer.read(LONGEST_REFS).await?;
        refs_answer::check(&bytes).ok()?;
        let at = Instant::now().checked_sub(age)?;
        let answer = self.refs.learn(slot, bytes, as_of, at)?;
        self.registry.accept_offline(&follower.scope, at);
        Some(answer)
    }
}

/// Whether another replica may wait for a flight. Two replicas never wait for each other: what is
/// stored does not wait, and who leads waits for the git host alone.
fn is_given(flight: &Flight, purpose: PeerPurpose) -> bool {
    match flight.now() {
        Progress::Running { .. } | Progress::Complete { .. } => true,
        Progress::Waiting => purpose == PeerPurpose::Lead,
        Progress::AtPeer | Progress::Failed(_) => false,
    }
}

/// The time and the age of stale refs; `None` for an answer that is not stale.
fn stale(headers: &HeaderMap) -> Option<(Timestamp, Duration)> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let age: u32 = text(STALE)?.parse().ok()?;
    let as_of = text(AS_OF)?.parse().ok()?;
    Some((as_of, Duration::from_secs(age.into())))
}

/// The answer of a replica that has nothing for another one.
fn nothing() -> Refused {
    let sentence = "this replica has no answer for another one";
    reply::text(StatusCode::GATEWAY_TIMEOUT, sentence)
}
