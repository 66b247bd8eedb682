//! The credentials of one poll.

use std::path::Path;
use std::path::PathBuf;

/// The credentials of one poll, the same that git uses.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// The version of the credentials: it differs between two polls if any of them has changed,
    /// including the content of the files. Never zero.
    pub generation: u64,
    /// User name and password for the remote's own address.
    pub http: Option<(&'a str, &'a str)>,
    /// The file of trusted CAs; `None` means the system's.
    pub ca: Option<&'a Path>,
    /// For an ssh remote.
    pub ssh: Option<SshCredentials<'a>>,
}

/// The credentials for an ssh server, and its known host keys.
#[derive(Clone, Copy)]
pub struct SshCredentials<'a> {
    /// Files of private keys, in the order in which they are tried.
    pub keys: &'a [PathBuf],
    /// The file of known hosts.
    pub known_hosts: Option<&'a Path>,
    /// Whether the host's key is checked.
    pub check: bool,
}
