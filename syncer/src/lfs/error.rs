//! Errors of Git LFS: each names the file and the host.

use std::fmt;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::StatusCode;

use crate::git::GitError;
use crate::remote::auth::AuthError;
use crate::remote::web::error::WebError;

/// The reason why pointers of a revision were not replaced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LfsError {
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The server of a submodule cannot be found.
    #[error("cannot find the Git LFS server of the submodule {path}")]
    Submodule { path: String, source: Box<LfsError> },
    #[error("cannot write Git LFS content in {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "the content of Git LFS files is not in the local store, and the remote is not contacted before its credentials are read"
    )]
    Unread,
    #[error("a download of Git LFS content ended unexpectedly: {0}")]
    Task(String),
    #[error(
        "the repository's address has no Git LFS server: expected https://, http:// or ssh://, or lfs.url in .lfsconfig"
    )]
    NoServer,
    #[error("lfs.url in .lfsconfig: expected an http(s) address")]
    ConfiguredUrl,
    #[error(
        "cannot find the Git LFS server over ssh: the answer of git-lfs-authenticate is not JSON"
    )]
    SshAnswer,
    #[error("cannot request the Git LFS content of {file} from {host}: {problem}")]
    Request {
        file: String,
        host: String,
        problem: Problem,
    },
    #[error("cannot download the Git LFS content of {file} from {host}: {problem}")]
    Download {
        file: String,
        host: String,
        problem: Problem,
    },
    #[error(
        "{files} Git LFS files were not complete within --sync-timeout; the next sync continues where this one stopped"
    )]
    TimedOut { files: usize },
}

impl LfsError {
    /// A file system error below a directory.
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self::Io { path, source }
    }

    /// The same error for a submodule: without its path, an error of an address is one of the
    /// repository's own.
    pub(super) fn of_submodule(self, path: &Path) -> Self {
        match self {
            Self::NoServer | Self::ConfiguredUrl | Self::SshAnswer => Self::Submodule {
                path: crate::redact::redact(&path.display().to_string()),
                source: Box::new(self),
            },
            other => other,
        }
    }

    /// The pause that the server requested.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Request {
                problem: Problem::Status { wait, .. },
                ..
            } => *wait,
            _ => None,
        }
    }
}

/// A server's answer that is not accepted, or the lack of one.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The address is on a host that is not allowed; `None` is the original one.
    Host {
        redirected: bool,
        host: String,
    },
    /// An unencrypted address of a repository with an encrypted one.
    Plain(String),
    Address,
    Redirects,
    Web(WebError),
    Stalled(Duration),
    Status {
        status: StatusCode,
        message: Option<String>,
        wait: Option<Duration>,
    },
    /// The server's own error of one object.
    Object {
        code: i64,
        message: String,
    },
    Page,
    NotJson,
    TooLong,
    Transfer(String),
    NoDownload,
    OtherObject,
    Size {
        found: u64,
        expected: u64,
    },
    Longer {
        expected: u64,
    },
    Cut {
        received: u64,
        expected: u64,
    },
    Range,
    Content,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { redirected, host } => {
                let how = if *redirected { "redirects to" } else { "names" };
                write!(
                    f,
                    "the answer {how} {host}, which is neither the repository's host nor in \
                     --lfs-allowed-hosts"
                )
            }
            Self::Plain(host) => write!(
                f,
                "{host} is not encrypted, but the repository's address is: expected https://"
            ),
            Self::Address => f.write_str("the answer has an address that cannot be parsed"),
            Self::Redirects => f.write_str("the server redirects too often"),
            Self::Web(error) => f.write_str(&crate::error::chain(error)),
            Self::Stalled(wait) => write!(f, "the server sent nothing for {wait:?}"),
            Self::Status {
                status, message, ..
            } => {
                write!(f, "the server answers {status}")?;
                if *status == StatusCode::UNAUTHORIZED {
                    f.write_str(": check the repository's credentials")?;
                }
                match message {
                    Some(message) => write!(f, " ({message})"),
                    None => Ok(()),
                }
            }
            Self::Object { code, message } => {
                write!(f, "the server answers {code} for this file ({message})")
            }
            Self::Page => f.write_str("the server answers with a web page, such as a sign-in page"),
            Self::NotJson => f.write_str("the answer is not JSON of the batch API"),
            Self::TooLong => f.write_str("the answer of the batch API is too long"),
            Self::Transfer(name) => write!(
                f,
                "the server chose the transfer {name:?}: expected \"basic\""
            ),
            Self::NoDownload => f.write_str("the answer has no download for this file"),
            Self::OtherObject => f.write_str("the answer lacks this file"),
            Self::Size { found, expected } => {
                write!(f, "the content has {found} bytes: expected {expected}")
            }
            Self::Longer { expected } => {
                write!(
                    f,
                    "the content is longer than the expected {expected} bytes"
                )
            }
            Self::Cut { received, expected } => write!(
                f,
                "the connection ended after {received} of {expected} bytes"
            ),
            Self::Range => {
                f.write_str("the answer is another part of the content than the requested one")
            }
            Self::Content => {
                f.write_str("the content does not match the file's SHA-256 hash, and was discarded")
            }
        }
    }
}
