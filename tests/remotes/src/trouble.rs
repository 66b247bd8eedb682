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

use crate::http::plain;

/// What a server answers instead of asking git.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// Git's content type, and what no git understands.
    Garbage,
    /// A status without a body.
    Status(u16),
    /// Half of each pack and nothing more, without an end.
    HangingPack,
    /// Half of each pack, and the connection is cut.
    TruncatedPack,
    /// A status, and the seconds to wait before the next request.
    RetryAfter(u16, u64),
}

/// What a server can speak.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Dialect {
    /// The protocol that the client asks for.
    #[default]
    Any,
    /// Smart HTTP as it was before protocol version 1.
    V0,
    /// Files only, as any web server gives them.
    Dumb,
}

impl Trouble {
    /// What is answered in git's place; `None` if git is asked, and its answer spoiled.
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

    /// Spoils git's answer, if there is a pack in it.
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

/// What is sent of an answer, and how it ends.
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
