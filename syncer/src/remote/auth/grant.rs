//! The credentials of one pass, for clients of the remote other than git.

use std::path::PathBuf;

use crate::config::Credentials;
use crate::remote::auth::credentials::CredentialList;

/// The credentials for the remote at this pass, the same that git uses.
///
/// Every path is a file that git or ssh would read. Its content may change between passes;
/// [`RemoteCredentials::generation`] then differs.
#[derive(Clone, Default, Eq, PartialEq)]
pub(crate) struct RemoteCredentials {
    /// User name and password for the repository's own address.
    pub(crate) http: Option<Credentials>,
    /// User names and passwords for other addresses, such as those of submodules.
    pub(crate) list: CredentialList,
    /// The file of CAs for git; `None` means the system's.
    pub(crate) ca: Option<PathBuf>,
    /// The file of CAs for the pull-through cache; `None` means the system's.
    pub(crate) cache_ca: Option<PathBuf>,
    /// Cookies in the format of Netscape and curl (`http.cookieFile`).
    pub(crate) cookie_file: Option<PathBuf>,
    /// For an ssh remote.
    pub(crate) ssh: Option<SshCredentials>,
    /// The user's own keys of git's configuration, in order; the last value of a key is used.
    pub(crate) git_config: Vec<(String, String)>,
    /// The version of the credentials: it differs between two passes if anything has changed,
    /// including the content of the files. Never zero.
    pub(crate) generation: u64,
}

/// The credentials for an ssh remote.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct SshCredentials {
    /// Private keys that ssh accepts, in the order in which they are tried.
    pub(crate) keys: Vec<PathBuf>,
    pub(crate) known_hosts: Option<PathBuf>,
    /// Whether the host's key is checked.
    pub(crate) check: bool,
    /// The user's environment names another ssh command (`GIT_SSH_COMMAND`).
    pub(crate) user_command: bool,
}
