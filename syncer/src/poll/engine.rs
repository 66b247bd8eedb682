//! The interface of a poll engine.

use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use hyper::StatusCode;
use jiff::Timestamp;

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

/// What the followed ref names at the remote.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RemoteRef {
    /// The object, which may be an annotated tag.
    pub(crate) object: Hash,
    /// The tag that a range of versions selects.
    pub(crate) tag: Option<String>,
}

impl RemoteRef {
    /// Whether git last fetched the same.
    pub(super) fn is(&self, known: Known<'_>) -> bool {
        self.object == *known.object && self.tag.as_deref() == known.tag
    }
}

/// A client that follows one ref, or the pushes to one repository, through the pull-through cache.
pub(super) trait CacheEngine: Send {
    /// Asks for the ref. After the first answer the cache holds the request until the ref changes, or
    /// until a push; `None` if that did not happen within `wait`.
    fn ask<'a>(&'a mut self, grant: &'a RemoteCredentials, wait: Duration) -> AskingCache<'a>;
}

/// A pending request to the cache.
pub(super) type AskingCache<'a> =
    Pin<Box<dyn Future<Output = Result<Option<CacheReport>, EngineError>> + Send + 'a>>;

/// What the cache says about the followed ref.
#[derive(Clone, Debug)]
pub(crate) struct CacheReport {
    /// What the ref names; `None` if the repository has no such ref, and after a push alone.
    pub(crate) found: Option<RemoteRef>,
    /// When the git host gave the answer.
    pub(crate) as_of: Option<Timestamp>,
    /// Of an answer that the cache gives while the git host is unreachable.
    pub(crate) stale: Option<Staleness>,
}

/// How old an answer is that the cache gives while the git host is unreachable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Staleness {
    /// Its age when it arrived.
    pub(crate) age: Duration,
    /// When the git host gave it.
    pub(crate) as_of: Timestamp,
}

/// A pending poll.
pub(super) type Asking<'a> =
    Pin<Box<dyn Future<Output = Result<EngineAnswer, EngineError>> + Send + 'a>>;

/// The result of a poll.
pub(super) struct EngineAnswer {
    /// The ref, or the highest tag, names the known object.
    pub(super) is_same: bool,
    /// What the ref names; `None` if the server has no such ref.
    pub(super) found: Option<RemoteRef>,
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
    /// The cache takes no pushes.
    #[error("no push receiver wakes the cache")]
    NoPushes,
    /// The cache answers that the git host is unreachable.
    #[error("{0}")]
    HostAway(String),
    #[error("{0}")]
    Failed(String),
}
