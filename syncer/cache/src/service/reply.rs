//! Answers to followers. Those of the cache itself are one sentence of plain text, without any byte
//! of the origin's.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::TryStreamExt;
use http_body_util::BodyExt;
use http_body_util::Either;
use http_body_util::Full;
use http_body_util::StreamBody;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Frame;
use hyper::header::CACHE_CONTROL;
use hyper::header::CONTENT_TYPE;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::header::RETRY_AFTER;
use hyper::header::WWW_AUTHENTICATE;

use crate::access::registry::Denial;
use crate::access::registry::Refusal;
use crate::origin::error::OriginError;

/// The body of an answer: known bytes, or bytes that arrive one after another.
pub(crate) type ReplyBody = Either<Full<Bytes>, UnsyncBoxBody<Bytes, io::Error>>;

/// An answer.
pub(crate) type Reply = Response<ReplyBody>;

/// A refusal: an answer of the cache itself, boxed because it is rare and large.
pub(crate) type Refused = Box<Reply>;

/// A body of known bytes.
pub(crate) fn full(bytes: impl Into<Bytes>) -> ReplyBody {
    Either::Left(Full::new(bytes.into()))
}

/// An answer in text.
pub(crate) fn text(status: StatusCode, sentence: &str) -> Refused {
    let mut reply = Response::new(full(format!("gitvolume cache: {sentence}\n")));
    *reply.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    Box::new(reply)
}

/// An answer of git's protocol.
pub(crate) fn git(kind: &'static str, body: ReplyBody) -> Reply {
    let mut reply = Response::new(body);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    reply
}

/// A body of bytes that arrive one after another.
pub(crate) fn stream(bytes: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> ReplyBody {
    Either::Right(StreamBody::new(bytes.map_ok(Frame::data)).boxed_unsync())
}

/// 503 with the time after which to try again.
pub(crate) fn later(wait: Duration, sentence: &str) -> Refused {
    let mut reply = text(StatusCode::SERVICE_UNAVAILABLE, sentence);
    let seconds = HeaderValue::from(wait.as_secs() + 1);
    reply.headers_mut().insert(RETRY_AFTER, seconds);
    reply
}

/// The answer for a request to the origin that failed.
pub(crate) fn failure(error: &OriginError) -> Refused {
    let status = match error {
        OriginError::Denied(Denial::Later(wait)) => {
            return later(*wait, "the git host requests a pause");
        }
        OriginError::Denied(Denial::Refused(Refusal { status, challenge })) => {
            let mut reply = text(*status, "the git host refuses the request");
            if let Some(challenge) = challenge {
                let headers = reply.headers_mut();
                headers.insert(WWW_AUTHENTICATE, challenge.clone());
            }
            return reply;
        }
        OriginError::Forbidden => StatusCode::FORBIDDEN,
        OriginError::Away(_) => StatusCode::GATEWAY_TIMEOUT,
        OriginError::Certificate(_) | OriginError::Unusable => StatusCode::BAD_GATEWAY,
        OriginError::Unsupported => StatusCode::NOT_IMPLEMENTED,
    };
    let sentence = match error {
        // The cause is in the cache's log.
        OriginError::Away(_) => "the git host is unreachable".to_owned(),
        OriginError::Certificate(_) => "the git host's certificate cannot be verified".to_owned(),
        error => error.to_string(),
    };
    text(status, &sentence)
}

/// Sets a header to a text of the cache's own.
pub(crate) fn set_header(reply: &mut Reply, name: HeaderName, value: &str) {
    // Our own texts are valid values.
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
}
