//! Wake-ups: taken from the push receiver, and waited for by followers of repositories that the cache does
//! not poll.

use std::sync::Arc;
use std::time::Duration;

use args::wake::Wake;
use args::wake::Watch;
use hyper::Request;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::header::CONNECTION;
use hyper::header::ETAG;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio::time::sleep_until;
use url::Url;

use crate::service::conditions::Conditions;
use crate::service::gate::Service;
use crate::service::gate::draining;
use crate::service::reply;
use crate::service::reply::Refused;
use crate::service::reply::Reply;

/// The longest wake-up in bytes.
const LONGEST: usize = 64 << 10;

/// The longest name of a repository in bytes, as a message: it stays in memory during the wait.
const LONGEST_WATCH: usize = 2 << 10;

impl Service {
    /// Answers `POST /wake`: the repositories that the message names and that followers wait on are
    /// looked at.
    pub(crate) async fn wake(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Reply, Refused> {
        let key = self.wake_key.as_ref().ok_or_else(disabled)?;
        let presented = request.headers().get(AUTHORIZATION);
        let presented = presented.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        if !presented.is_some_and(|presented| key.is(presented)) {
            let sentence = "the key of the wake-up is wrong";
            return Err(reply::text(StatusCode::UNAUTHORIZED, sentence));
        }
        let body = self.body(request, LONGEST).await?;
        let wake: Wake = serde_json::from_slice(&body).map_err(|_| {
            let sentence = "the body is no wake-up";
            reply::text(StatusCode::BAD_REQUEST, sentence)
        })?;
        for origin in self.refs.origins() {
            let url = Url::parse(&origin.to_string());
            if url.is_ok_and(|url| wake.names(&url)) {
                self.refs.wake(&origin);
            }
        }
        self.watches.wake(&wake);
        Ok(empty(StatusCode::NO_CONTENT))
    }

    /// Answers `POST /watch`: holds the request until a wake-up names the repository. The request needs no
    /// credential, because the answer reveals nothing but the time of a push.
    pub(crate) async fn watch(&self, request: Request<Incoming>) -> Result<Reply, Refused> {
        if self.wake_key.is_none() {
            return Err(disabled());
        }
        let Conditions { tag, wait, .. } = Conditions::read(request.headers());
        let until = Instant::now() + wait;
        let mut pushes = self.pushes(request).await?;
        let mut stage = self.stage.clone();
        let _waiting = self.metrics.count(|metrics| &metrics.waiting);
        loop {
            let present = self.watches.tag(*pushes.borrow_and_update());
            if tag.as_ref() != Some(&present) {
                return Ok(self.tagged(StatusCode::OK, &present));
            }
            tokio::select! {
                // The sender is kept while there are receivers.
                _ = pushes.changed() => {}
                () = sleep_until(until) => {
                    return Ok(self.tagged(StatusCode::NOT_MODIFIED, &present));
                }
                () = draining(&mut stage) => {
                    self.spread_drain().await;
                    let mut reply = self.tagged(StatusCode::NOT_MODIFIED, &present);
                    reply::set_header(&mut reply, CONNECTION, "close");
                    return Ok(reply);
                }
            }
        }
    }

    /// The wake-ups of the repository that a request names.
    async fn pushes(&self, request: Request<Incoming>) -> Result<watch::Receiver<u64>, Refused> {
        let body = self.body(request, LONGEST_WATCH).await?;
        let named: Watch = serde_json::from_slice(&body).map_err(|_| {
            let sentence = "the body names no repository";
            reply::text(StatusCode::BAD_REQUEST, sentence)
        })?;
        let pushes = self.watches.subscribe(&named.repository);
        pushes
            .map_err(|_| reply::later(Duration::from_secs(1), "too many repositories are followed"))
    }

    fn tagged(&self, status: StatusCode, tag: &str) -> Reply {
        let mut reply = empty(status);
        reply::set_header(&mut reply, ETAG, tag);
        self.name_cas(&mut reply);
        reply
    }
}

fn disabled() -> Refused {
    let sentence = "wake-ups are disabled; see --wake-key-file";
    reply::text(StatusCode::NOT_FOUND, sentence)
}

fn empty(status: StatusCode) -> Reply {
    let mut reply = reply::git("text/plain", reply::full(""));
    *reply.status_mut() = status;
    reply
}
