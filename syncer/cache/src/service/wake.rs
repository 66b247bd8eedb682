//! Wake-ups from the push receiver.

use std::sync::Arc;

use args::wake::Wake;
use hyper::Request;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use url::Url;

use crate::service::gate::Service;
use crate::service::reply;
use crate::service::reply::Refused;
use crate::service::reply::Reply;

/// The longest message in bytes.
const LONGEST: usize = 64 << 10;

impl Service {
    /// Answers `POST /wake`: the repositories that the message names and that followers wait on are
    /// looked at.
    pub(crate) async fn wake(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Reply, Refused> {
        let Some(key) = &self.wake_key else {
            let sentence = "wake-ups are disabled; see --wake-key-file";
            return Err(reply::text(StatusCode::NOT_FOUND, sentence));
        };
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
        let mut reply = reply::git("text/plain", reply::full(""));
        *reply.status_mut() = StatusCode::NO_CONTENT;
        Ok(reply)
    }
}
