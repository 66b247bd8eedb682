//! Asks the remote, without git, whether the followed ref still names what git last fetched.
//!
//! - An [`Engine`] answers *same* or *different*; everything else is the git program's. `http`
//!   (with `connect`) and `ssh` speak git's protocol (`packets`, `refs`) on kept connections (`pool`).
//! - `poller` decides whether an engine may be asked at all: only where it does exactly what git
//!   would, which `allowed` judges by git's configuration, the environment and ssh's files.
//!
//! An engine's trouble is no failure: git is asked, and its answer counts.

mod allowed;
mod connect;
mod http;
mod packets;
mod poller;
mod pool;
mod refs;
mod ssh;

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use crate::auth::Grant;
use crate::engine::packets::ProtocolError;
pub(crate) use crate::engine::poller::Polled;
pub(crate) use crate::engine::poller::Poller;
use crate::git::Hash;
use crate::web::WebError;

/// What the followed ref names, compared with what it named when git last fetched it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    Same,
    /// Another object, or none: git finds out.
    Different,
}

/// What an engine was told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Told {
    pub(crate) answer: Answer,
    /// How many bytes the server needed to say so.
    pub(crate) received: u64,
}

/// Asks one remote for one ref.
pub(crate) trait Engine: fmt::Debug + Send + Sync {
    /// Compares the object that the ref names with the known one. What it has learnt of the remote
    /// it keeps for the next time, unless the grant has changed.
    fn ask<'a>(&'a mut self, grant: &'a Grant, known: &'a Hash) -> Asking<'a>;
}

/// An answer to come.
pub(crate) type Asking<'a> = Pin<Box<dyn Future<Output = Result<Told, EngineError>> + Send + 'a>>;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    #[error("cannot reach the server")]
    Connect(#[source] io::Error),
    #[error("the connection to the server failed")]
    Http(#[from] hyper::Error),
    #[error("cannot ask the server")]
    Request(#[from] hyper::http::Error),
    #[error("the server's host key is not the known one")]
    HostKey,
    #[error("cannot read {path}")]
    Read { path: String, source: io::Error },
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    #[error("the server answers {0}")]
    Status(hyper::StatusCode),
    #[error("the server answers {status}, and wants to be left alone for {wait:?}")]
    Later {
        status: hyper::StatusCode,
        wait: Duration,
    },
    #[error("the ssh connection failed")]
    Ssh(#[from] russh::Error),
    #[error("the server did not answer in time")]
    TimedOut,
    #[error(transparent)]
    Trust(#[from] WebError),
    #[error("the proxy answers {0}")]
    Tunnel(hyper::StatusCode),
    /// Not now, and not with these settings at all.
    #[error("{0}")]
    Unfit(&'static str),
}
