//! Errors of HTTP(S) requests.

use std::io;
use std::path::PathBuf;

/// An error of a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebError {
    #[error("cannot read the trusted certificates in {}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    #[error("cannot set up HTTP")]
    Client(#[source] reqwest::Error),
    /// Its text omits the address, whose path and query may be secret.
    #[error(transparent)]
    Call(reqwest::Error),
}
