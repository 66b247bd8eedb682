use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Body;
use hyper::body::Frame;
use hyper::body::SizeHint;
use hyper::header::CONTENT_TYPE;
use hyper::header::HeaderValue;

/// A faulty response that a server sends instead of git's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// git's content type with a body that no git understands.
    Garbage,
    /// A status with an empty body.
    Status(u16),
    /// The first half of each pack; the connection stays open.
    HangingPack,
    /// The first half of each pack; then the connection is closed.
    TruncatedPack,
    /// A status, and the seconds to wait before the next request.
    RetryAfter(u16, u64),
}

/// The protocol that a server supports.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Dialect {
    /// The protocol that the client requests.
    #[default]
    Any,
    /// Smart HTTP as it was before protocol version 1.
    V0,
    /// Files only (dumb HTTP), as from any web server.
    Dumb,
}

impl Trouble {
    /// The complete response; `None` if git runs and its response is modified.
    pub(crate) fn response(self) -> Option<Response<Full<Bytes>>> {
        Some(match self {
            Self::HangingPack | Self::TruncatedPack => return None,
            Self::Garbage => {
                let mut response = Response::new(Full::from("this is not git's\n"));
                let kind = HeaderValue::from_static("application/x-git-upload-pack-result");
                response.headers_mut().insert(CONTENT_TYPE, kind);
                response
            }
            Self::Status(code) => plain(status(code), "x-trouble", "yes"),
            Self::RetryAfter(code, seconds) => {
                plain(status(code), "retry-after", &seconds.to_string())
            }
        })
    }

    /// Truncates git's response if it contains a pack.
    pub(crate) fn spoilt(self, answer: Bytes) -> Answer {
        let has_pack = answer.windows(8).any(|window| window == b"packfile");
        let end = match self {
            Self::HangingPack if has_pack => End::Never,
            Self::TruncatedPack if has_pack => End::Cut,
            _ => return Answer::whole(answer),
        };
        Answer {
            bytes: Some(answer.slice(..answer.len() / 2)),
            end,
        }
    }
}

/// The part of a response to send, and how it ends.
pub(crate) struct Answer {
    bytes: Option<Bytes>,
    end: End,
}

#[derive(Clone, Copy)]
enum End {
    Proper,
    Never,
    Cut,
}

impl Answer {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self {
            bytes: Some(bytes),
            end: End::Proper,
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match (self.bytes.take(), self.end) {
            (Some(bytes), _) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            (None, End::Proper) => Poll::Ready(None),
            (None, End::Never) => Poll::Pending,
            (None, End::Cut) => Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into()))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.bytes, self.end) {
            (Some(bytes), End::Proper) => SizeHint::with_exact(bytes.len() as u64),
            _ => SizeHint::default(),
        }
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).expect("a status")
}

pub(crate) fn plain(status: StatusCode, name: &'static str, value: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
    response
}
