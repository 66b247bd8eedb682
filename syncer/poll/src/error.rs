//! Errors of a poll.

use std::error::Error;
use std::io;

use hyper::StatusCode;

use crate::packets::ProtocolError;

/// An error of a poll.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// The connection cannot be made.
    #[error("cannot reach the server")]
    Connect(#[source] io::Error),
    /// The connection broke, or its bytes are not HTTP.
    #[error("the connection to the server failed")]
    Http(#[from] hyper::Error),
    /// The address or a credential is invalid in a request.
    #[error("cannot build the request to the server")]
    Request(#[from] hyper::http::Error),
    /// The ssh server's host key is not a known one.
    #[error("the server's host key does not match known_hosts")]
    HostKey,
    /// A key or the known hosts cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// The response violates git's protocol.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// A response with a status other than 200.
    #[error("the server answers {status}")]
    Status {
        /// The status.
        status: StatusCode,
        /// The header `Retry-After`.
        retry_after: Option<String>,
    },
    /// The ssh connection cannot be made, or broke.
    #[error("the ssh connection failed")]
    Ssh(#[from] russh::Error),
    /// The trusted CAs cannot be read.
    #[error(transparent)]
    Trust(Box<dyn Error + Send + Sync>),
    /// The proxy refuses a tunnel to the server, with this status.
    #[error("the proxy answers {0}")]
    Tunnel(StatusCode),
    /// The poller does not support these settings or this server.
    #[error("{0}")]
    Unfit(&'static str),
}
