//! Errors of requests to origins.

use crate::access::registry::Denial;

/// Why a request to an origin has no usable answer. None of the texts contains a byte of the answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum OriginError {
    /// The origin refuses the credential, or requests a pause.
    #[error("the git host refuses the request")]
    Denied(Denial),
    /// The origin cannot be reached, or answers with a server error.
    #[error("the git host is unreachable: {0}")]
    Away(String),
    /// The host's certificate is not trusted, so that nothing is known about the origin.
    #[error("the git host's certificate cannot be verified: {0}")]
    Certificate(String),
    /// The host's addresses are in networks that the cache does not connect to.
    #[error(
        "the git host's addresses are not allowed; see --allowed-networks and --denied-networks"
    )]
    Forbidden,
    /// The answer is not git's, or git's own error.
    #[error("the git host's answer is not usable")]
    Unusable,
    /// A redirect, or a server without protocol version 2.
    #[error(
        "the cache does not support this repository: it needs git's protocol version 2 without redirects"
    )]
    Unsupported,
}
