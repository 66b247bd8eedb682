//! The replicas: their addresses, which of them are asked, and what they have answered.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::select_ok;
use http_body_util::Full;
use hyper::Request;
use poll::Network;
use rustls::ClientConfig;
use tokio::time::Instant;
use tokio::time::timeout;

use crate::access::credential::Follower;
use crate::metrics::Metrics;
use crate::origin::client::ADVERTISEMENT_TYPE;
use crate::origin::client::RESULT_TYPE;
use crate::origin::client::request;
use crate::peers::backoff::PeerBackoff;
use crate::peers::client;
use crate::peers::client::PeerAnswer;
use crate::peers::config::PeersConfig;
use crate::peers::config::PeersError;
use crate::peers::purpose::PEER;
use crate::peers::purpose::PeerPurpose;
use crate::peers::ranking::ReplicaAddresses;
use crate::store::key::Key;

/// How long addresses and CAs are used.
const KEPT: Duration = Duration::from_secs(5);

/// How long they are not looked up again after a failure: a follower waits for each lookup.
const KEPT_FAILURE: Duration = Duration::from_secs(30);

/// The timeout of the lookup of addresses.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(1);

/// The most replicas that are asked for one answer.
const MOST_ASKED: usize = 3;

/// The peers.
pub(crate) struct Peers {
    config: PeersConfig,
    network: Arc<dyn Network>,
    metrics: Arc<Metrics>,
    /// What was found last, and when.
    found: tokio::sync::Mutex<Option<(Instant, Option<FoundReplicas>)>>,
    backoff: Mutex<PeerBackoff>,
}

#[derive(Clone)]
struct FoundReplicas {
    addresses: ReplicaAddresses,
    tls: Arc<ClientConfig>,
}

impl Peers {
    pub(crate) fn new(
        config: PeersConfig,
        network: Arc<dyn Network>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            config,
            network,
            metrics,
            found: tokio::sync::Mutex::default(),
            backoff: Mutex::default(),
        }
    }

    /// Another replica's answer to a `fetch`. `on_lead` runs before this replica waits for another
    /// one's request to the git host.
    pub(crate) async fn pack(
        &self,
        follower: &Follower,
        body: &[u8],
        key: Key,
        on_lead: impl FnOnce(),
    ) -> Option<PeerAnswer> {
        let found = self.available().await?;
        match found.addresses.leader(key) {
            Some(leader) => {
                on_lead();
                let purpose = PeerPurpose::Lead;
                self.ask(&found, leader, follower, Some(body), purpose)
                    .await
            }
            None => self.stored(&found, follower, Some(body)).await,
        }
    }

    /// What another replica has in memory: capabilities without a body, refs with one.
    pub(crate) async fn known(
        &self,
        follower: &Follower,
        body: Option<&[u8]>,
    ) -> Option<PeerAnswer> {
        let found = self.available().await?;
        self.stored(&found, follower, body).await
    }

    /// The first answer of the other replicas, which are asked at the same time.
    async fn stored(
        &self,
        found: &FoundReplicas,
        follower: &Follower,
        body: Option<&[u8]>,
    ) -> Option<PeerAnswer> {
        let others = found.addresses.others.iter().take(MOST_ASKED);
        let asking = others.map(|ip| {
            let asked = self.ask(found, *ip, follower, body, PeerPurpose::Stored);
            asked.map(|answer| answer.ok_or(())).boxed()
        });
        let asking: Vec<_> = asking.collect();
        if asking.is_empty() {
            return None;
        }
        select_ok(asking).await.ok().map(|(answer, _)| answer)
    }

    async fn ask(
        &self,
        found: &FoundReplicas,
        ip: IpAddr,
        follower: &Follower,
        body: Option<&[u8]>,
        purpose: PeerPurpose,
    ) -> Option<PeerAnswer> {
        let kind = match body {
            Some(_) => RESULT_TYPE,
            None => ADVERTISEMENT_TYPE,
        };
        let request = self.request(follower, body, purpose)?;
        let address = SocketAddr::from((ip, self.config.port));
        let (tls, name) = (Arc::clone(&found.tls), self.config.name.clone());
        let metrics = Arc::clone(&self.metrics);
        match client::send(address, tls, name, request, metrics).await {
            Ok(answer) => {
                if self.backoff().record_success(ip) {
                    tracing::info!(replica = %ip, "the other replica answers again");
                }
                let is_git = answer.is_git(kind);
                let count = match is_git {
                    true => &self.metrics.peer_answers,
                    false => &self.metrics.peer_misses,
                };
                count.add(1);
                is_git.then_some(answer)
            }
            Err(error) => {
                self.metrics.peer_errors.add(1);
                if self.backoff().record_failure(ip) {
                    tracing::warn!(replica = %ip, %error, "cannot ask the other replica; the cache asks the git host");
                }
                None
            }
        }
    }

    /// The request of a follower, at its address in the cache.
    fn request(
        &self,
        follower: &Follower,
        body: Option<&[u8]>,
        purpose: PeerPurpose,
    ) -> Option<Request<Full<Bytes>>> {
        let origin = &follower.scope.origin;
        let (path, host) = (origin.to_cache_path(), self.config.host.clone());
        let request = request(follower, &path, &host, body.map(<[u8]>::to_vec));
        let mut request = request.ok()?;
        request.headers_mut().insert(PEER, purpose.header());
        Some(request)
    }

    /// The replicas that did not fail a moment ago; `None` if there is no other one.
    async fn available(&self) -> Option<FoundReplicas> {
        let mut found = {
            let mut last = self.found.lock().await;
            match &*last {
                Some((at, Some(found))) if at.elapsed() < KEPT => Some(found.clone()),
                Some((at, None)) if at.elapsed() < KEPT_FAILURE => None,
                _ => {
                    let has_failed = matches!(&*last, Some((_, None)));
                    let looked_up = self.look_up().await;
                    if let Err(error) = &looked_up
                        && !has_failed
                    {
                        tracing::warn!(%error, "cannot find the other replicas");
                    }
                    let found = looked_up.ok();
                    *last = Some((Instant::now(), found.clone()));
                    found
                }
            }
        }?;
        let backoff = self.backoff();
        found.addresses.others.retain(|ip| backoff.is_over(*ip));
        drop(backoff);
        (!found.addresses.others.is_empty()).then_some(found)
    }

    async fn look_up(&self) -> Result<FoundReplicas, PeersError> {
        let resolving = timeout(RESOLVE_TIMEOUT, self.network.resolve(&self.config.host));
        let resolved = resolving.await.map_err(std::io::Error::from).flatten();
        let ips = resolved.map_err(|source| PeersError::Resolve {
            host: self.config.host.clone(),
            source,
        })?;
        let mut addresses = ReplicaAddresses::default();
        for ip in ips {
            let all = match self.is_own(ip) {
                true => &mut addresses.own,
                false => &mut addresses.others,
            };
            if !all.contains(&ip) {
                all.push(ip);
            }
        }
        self.backoff().retain(|ip| addresses.others.contains(&ip));
        let tls = self.config.tls()?;
        Ok(FoundReplicas { addresses, tls })
    }

    fn is_own(&self, ip: IpAddr) -> bool {
        self.config
            .listen
            .map_or_else(|| is_local(ip), |own| own == ip)
    }

    fn backoff(&self) -> MutexGuard<'_, PeerBackoff> {
        self.backoff.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an address is this machine's: packets to it have it as their source, too. Nothing is sent.
fn is_local(ip: IpAddr) -> bool {
    let any: IpAddr = match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((ip, 9))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_this_machine_is_its_own() {
        assert!(is_local(Ipv4Addr::LOCALHOST.into()));
        // Documentation's addresses are no machine's (RFC 5737).
        assert!(!is_local(Ipv4Addr::new(192, 0, 2, 1).into()));
    }
}
