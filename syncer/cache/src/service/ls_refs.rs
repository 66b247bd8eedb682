//! Refs: asked now, or waited for.

use std::time::Duration;

use args::cache::AS_OF;
use args::cache::STALE;
use hyper::Response;
use hyper::StatusCode;
use hyper::header::CONNECTION;
use hyper::header::ETAG;
use hyper::header::HeaderName;
use tokio::time::Instant;
use tokio::time::sleep_until;

use std::sync::Arc;

use crate::access::credential::Follower;
use crate::origin::client::RESULT_TYPE;
use crate::origin::error::OriginError;
use crate::protocol::request::LsRefs;
use crate::refs::answer::RefsAnswer;
use crate::refs::slot::Slot;
use crate::refs::slot::is_final;
use crate::refs::table::LEAST_PAUSE;
use crate::service::conditions::Conditions;
use crate::service::gate::Service;
use crate::service::gate::draining;
use crate::service::reply;
use crate::service::reply::Refused;
use crate::service::reply::Reply;

const AS_OF_NAME: HeaderName = HeaderName::from_static(AS_OF);
const STALE_NAME: HeaderName = HeaderName::from_static(STALE);

impl Service {
    /// Answers `ls-refs`. What the wait does not need is freed before it: there are thousands of
    /// followers, and a change is sent to all of them at once.
    pub(crate) async fn ls_refs(
        self: &Arc<Self>,
        follower: Follower,
        request: LsRefs,
        conditions: Conditions,
    ) -> Result<Reply, Refused> {
        self.check_refusal(&follower)?;
        // Guesses of credentials leave nothing in memory.
        let is_anonymous = follower.credential.is_anonymous();
        let is_known = self.registry.is_greeted(&follower.scope)
            || self.registry.is_accepted_offline(&follower.scope);
        if let Err(denial) = self.registry.check(&follower.scope, is_anonymous)
            && !is_known
        {
            return Err(reply::failure(&OriginError::Denied(denial)));
        }
        let slot = self.refs.slot(&follower.scope, request.to_body());
        drop(request);
        let slot = slot.map_err(|_| {
            reply::later(Duration::from_secs(1), "too many repositories are followed")
        })?;
        let arrived = Instant::now();
        let until = arrived + conditions.wait;
        let Some(tag) = conditions.tag else {
            // An answer that arrives within the pause between two requests is as new as can be.
            let not_before = arrived.checked_sub(LEAST_PAUSE).unwrap_or(arrived);
            let (answer, is_stale) = self.asked(&slot, &follower, not_before).await?;
            return Ok(self.changed(&answer, is_stale));
        };
        // A follower with another answer, perhaps a newer one of another replica, makes the cache
        // ask.
        let is_present = slot.answer().is_some_and(|answer| answer.body.etag == tag);
        if !is_present || until == arrived {
            let (answer, is_stale) = self.asked(&slot, &follower, arrived).await?;
            if answer.body.etag != tag {
                return Ok(self.changed(&answer, is_stale));
            }
        }
        self.waited(&slot, follower, &tag, until).await
    }

    /// Holds the request until the answer has another tag.
    async fn waited(
        &self,
        slot: &Arc<Slot>,
        follower: Follower,
        tag: &str,
        until: Instant,
    ) -> Result<Reply, Refused> {
        let mut changes = slot.subscribe();
        let mut stage = self.stage.clone();
        // Only a follower that waits makes the cache poll.
        let _waiting = (until > Instant::now()).then(|| self.refs.wait(slot, &follower));
        drop(follower);
        loop {
            if let Some(answer) = slot.answer().filter(|answer| answer.body.etag != tag) {
                return Ok(self.changed(&answer, false));
            }
            let failed = slot.last().and_then(|last| last.result.err());
            if let Some(error) = failed.filter(is_final) {
                return Err(reply::failure(&error));
            }
            tokio::select! {
                // The sender is in the slot.
                _ = changes.changed() => {}
                () = sleep_until(until) => return self.unchanged(slot),
                () = draining(&mut stage) => {
                    self.spread_drain().await;
                    let mut reply = self.unchanged(slot)?;
                    reply::set_header(&mut reply, CONNECTION, "close");
                    return Ok(reply);
                }
            }
        }
    }

    /// The answer of the origin; if it is away, the last one, for a credential that was accepted in
    /// time. The second value is whether it is stale.
    async fn asked(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        follower: &Follower,
        not_before: Instant,
    ) -> Result<(RefsAnswer, bool), Refused> {
        if self.registry.is_accepted_offline(&follower.scope)
            && let Some(answer) = slot.answer()
        {
            self.ask_later(slot, follower, not_before);
            return Ok((answer, true));
        }
        // Another replica may know for how long the host has been away.
        let is_failing = self.registry.is_failing(&follower.scope);
        if is_failing && let Some(answer) = self.refs_of_peers(slot, follower).await {
            self.ask_later(slot, follower, not_before);
            return Ok((answer, true));
        }
        match self.refs.ask(slot, follower, not_before).await {
            Ok(answer) => Ok((answer, false)),
            Err(error @ OriginError::Away(_)) => {
                let is_served = self.registry.is_accepted_offline(&follower.scope);
                let mut answer = slot.answer().filter(|_| is_served);
                if answer.is_none() && !is_failing {
                    answer = self.refs_of_peers(slot, follower).await;
                }
                Ok((answer.ok_or_else(|| reply::failure(&error))?, true))
            }
            Err(error) => Err(reply::failure(&error)),
        }
    }

    /// Asks the origin without a follower that waits for it: the host is known to be away.
    fn ask_later(self: &Arc<Self>, slot: &Arc<Slot>, follower: &Follower, not_before: Instant) {
        let (service, slot, follower) = (self.clone(), slot.clone(), follower.clone());
        tokio::spawn(async move { service.refs.ask(&slot, &follower, not_before).await });
    }

    /// 304 at the end of a wait, as far as the origin was reachable.
    fn unchanged(&self, slot: &Slot) -> Result<Reply, Refused> {
        let failed = slot.last().and_then(|last| last.result.err());
        let is_stale = match failed {
            None => false,
            Some(OriginError::Away(_)) if self.registry.is_accepted_offline(&slot.scope) => true,
            Some(error) => return Err(reply::failure(&error)),
        };
        let Some(answer) = slot.answer() else {
            let error = OriginError::Away("no answer is known".to_owned());
            return Err(reply::failure(&error));
        };
        let mut reply = Response::new(reply::full(""));
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
        self.describe(&mut reply, &answer, is_stale);
        Ok(reply)
    }

    /// 200 with an answer.
    fn changed(&self, answer: &RefsAnswer, is_stale: bool) -> Reply {
        let bytes = answer.body.bytes.clone();
        self.metrics.sent_bytes.add(bytes.len() as u64);
        let mut reply = reply::git(RESULT_TYPE, reply::full(bytes));
        self.describe(&mut reply, answer, is_stale);
        reply
    }

    fn describe(&self, reply: &mut Reply, answer: &RefsAnswer, is_stale: bool) {
        set_headers(reply, answer, is_stale);
        self.name_cas(reply);
        let age = match is_stale {
            true => {
                self.metrics.stale_answers.add(1);
                answer.age()
            }
            false => 0,
        };
        self.metrics.stale_seconds.set(age as i64);
    }
}

/// Sets the tag, the time and, of a stale answer, the age.
pub(crate) fn set_headers(reply: &mut Reply, answer: &RefsAnswer, is_stale: bool) {
    let headers = reply.headers_mut();
    headers.insert(ETAG, answer.body.etag.clone());
    headers.insert(AS_OF_NAME, answer.as_of_header.clone());
    if is_stale {
        reply::set_header(reply, STALE_NAME, &answer.age().to_string());
    }
}
