//! Capabilities, which git requests before everything else.

use std::sync::Arc;
use std::sync::Weak;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::access::credential::Follower;
use crate::access::registry::Denial;
use crate::origin::client::ADVERTISEMENT_TYPE;
use crate::origin::client::RESULT_TYPE;
use crate::origin::error::OriginError;
use crate::service::gate::Service;
use crate::service::gate::lock;
use crate::service::reply;
use crate::service::reply::Refused;
use crate::service::reply::Reply;

/// How long capabilities are served from memory.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// The most repositories whose capabilities are remembered.
const MOST: usize = 20_000;

impl Service {
    /// Answers `info/refs`: from memory for a credential that has received it from the origin.
    pub(crate) async fn info_refs(&self, follower: &Follower) -> Result<Reply, Refused> {
        self.check_refusal(follower)?;
        if let Some(bytes) = self.known_capabilities(follower) {
            self.metrics.hits.add(1);
            return Ok(advertisement(bytes));
        }
        let greeting = self.greeting(follower);
        let _alone = greeting.lock().await;
        self.check_refusal(follower)?;
        if let Some(bytes) = self.known_capabilities(follower) {
            self.metrics.hits.add(1);
            return Ok(advertisement(bytes));
        }
        let bytes = self.capabilities(follower).await;
        let bytes = bytes.map_err(|error| self.refusal(follower, &error))?;
        let mut known = lock(&self.tables.advertisements);
        if known.len() >= MOST {
            known.retain(|_, (_, at)| at.elapsed() < FRESH);
        }
        if known.len() < MOST {
            let origin = Arc::clone(&follower.scope.origin);
            known.insert(origin, (bytes.clone(), Instant::now()));
        }
        Ok(advertisement(bytes))
    }

    /// The capabilities of the origin; of another replica while the host is away.
    async fn capabilities(&self, follower: &Follower) -> Result<Bytes, OriginError> {
        let is_failing = self.registry.is_failing(&follower.scope);
        if is_failing && let Some(bytes) = self.capabilities_of_peers(follower).await {
            return Ok(bytes);
        }
        let asked = self.upstream.info_refs(follower).await;
        if let Err(OriginError::Away(_)) = &asked
            && !is_failing
            && let Some(bytes) = self.capabilities_of_peers(follower).await
        {
            return Ok(bytes);
        }
        asked
    }

    /// Answers the empty request that git sends before a long one.
    pub(crate) fn probe(&self, follower: &Follower) -> Result<Reply, Refused> {
        self.check_refusal(follower)?;
        Ok(reply::git(RESULT_TYPE, reply::full(Bytes::new())))
    }

    /// Answers a credential that the origin has refused a moment ago.
    pub(crate) fn check_refusal(&self, follower: &Follower) -> Result<(), Refused> {
        let is_anonymous = follower.credential.is_anonymous();
        match self.registry.check(&follower.scope, is_anonymous) {
            Err(denial @ Denial::Refused(_)) => {
                self.metrics.hits.add(1);
                Err(reply::failure(&OriginError::Denied(denial)))
            }
            // Answers from memory need no request to the origin.
            Ok(()) | Err(Denial::Later(_)) => Ok(()),
        }
    }

    /// The answer to a failed request; a refused credential loses what it has received.
    pub(crate) fn refusal(&self, follower: &Follower, error: &OriginError) -> Refused {
        if let OriginError::Denied(Denial::Refused(_)) = error {
            self.refs.drop_scope(&follower.scope, error);
        }
        reply::failure(error)
    }

    pub(crate) fn known_capabilities(&self, follower: &Follower) -> Option<Bytes> {
        let known = lock(&self.tables.advertisements);
        let (bytes, at) = known.get(&follower.scope.origin)?;
        let is_fresh = at.elapsed() < FRESH && self.registry.is_greeted(&follower.scope);
        let is_known = is_fresh || self.registry.is_accepted_offline(&follower.scope);
        is_known.then(|| bytes.clone())
    }

    fn greeting(&self, follower: &Follower) -> Arc<tokio::sync::Mutex<()>> {
        let mut greetings = lock(&self.tables.greetings);
        greetings.retain(|_, greeting| greeting.strong_count() > 0);
        let known = greetings.get(&follower.scope).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let greeting = Arc::default();
            greetings.insert(follower.scope.clone(), Arc::downgrade(&greeting));
            greeting
        })
    }
}

/// 200 with capabilities.
pub(crate) fn advertisement(bytes: Bytes) -> Reply {
    reply::git(ADVERTISEMENT_TYPE, reply::full(bytes))
}
