use std::io;
use std::path::PathBuf;

/// The reason why the receiver does not start.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// Another process has the address, or the machine does not.
    #[error("cannot listen on --listen")]
    Listen(#[source] io::Error),
    /// The files of the serving certificate.
    #[error(transparent)]
    Tls(#[from] TlsFilesError),
    /// The host of the cache is no name that a certificate can have.
    #[error("--cache: expected a host name or an IP address")]
    Cache,
    /// The system has no random numbers.
    #[error("the system has no random numbers")]
    Random,
}

/// The reason why the files of `--tls-cert` and `--tls-key` are not served.
#[derive(Debug, thiserror::Error)]
pub enum TlsFilesError {
    /// A file is missing, or not readable.
    #[error("cannot read {} of the push receiver", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The files are no certificate with its key.
    #[error("{}: expected a PEM certificate with its chain, and its key in the other file", .path.display())]
    Certificate {
        /// The file with the certificate.
        path: PathBuf,
        /// The error of the TLS library.
        source: rustls::Error,
    },
    /// A file is not in PEM format.
    #[error("{}: expected PEM", .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// The parse error.
        source: rustls::pki_types::pem::Error,
    },
}

/// The reason why a wake-up does not reach a replica of the cache. Its followers poll after a period.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    #[error("cannot read {} for the cache", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: expected the CA certificates of the cache in PEM", .0.display())]
    Ca(PathBuf),
    #[error("{}: expected the cache's key in one line", .0.display())]
    Key(PathBuf),
    #[error("cannot resolve the cache's host name")]
    Resolve(#[source] io::Error),
    #[error("cannot connect to the cache")]
    Connect(#[source] io::Error),
    #[error("the request to the cache failed")]
    Http(#[from] hyper::Error),
    #[error("the cache answers {0} to the wake-up")]
    Status(hyper::StatusCode),
    #[error("the cache does not answer within 2 seconds")]
    Timeout,
    #[error("the wake-up cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
