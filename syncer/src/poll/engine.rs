//! The interface of a poll engine.

use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use hyper::StatusCode;

use crate::git::Hash;
use crate::poll::loan::Loan;
use crate::remote::auth::RemoteCredentials;

/// A client that polls one ref, or the tags of a range, of one remote.
pub(super) trait Engine: Send + Sync {
    /// Compares the ref with the known one.
    fn ask<'a>(&'a mut self, grant: &'a RemoteCredentials, known: Known<'a>) -> Asking<'a>;

    /// Lends the connection of the last poll to git, over a socket that is created in this
    /// directory.
    fn lend(&self, _dir: &Path) -> Option<Loan> {
        None
    }
}

/// The result of git's last fetch.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    /// The object that the ref names.
    pub(crate) object: &'a Hash,
    /// The tag that a range of versions selected.
    pub(crate) tag: Option<&'a str>,
}

/// A pending poll.
pub(super) type Asking<'a> =
    Pin<Box<dyn Future<Output = Result<EngineAnswer, EngineError>> + Send + 'a>>;

/// The result of a poll.
pub(super) struct EngineAnswer {
    /// The ref, or the highest tag, names the known object.
    pub(super) is_same: bool,
    /// The number of bytes of the server's response.
    pub(super) received: u64,
}

/// An error of a poll.
#[derive(Debug, thiserror::Error)]
pub(super) enum EngineError {
    #[error("the server did not answer in time")]
    TimedOut,
    #[error("the server answers {status} with a Retry-After of {wait:?}")]
    Later { status: StatusCode, wait: Duration },
    #[error("{0}")]
    Failed(String),
}
