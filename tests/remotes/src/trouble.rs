use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::StatusCode;
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
    pub(crate) fn response(self) -> Response<Full<Bytes>> {
        match self {
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
        }
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).expect("a status")
}
