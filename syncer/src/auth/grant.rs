//! What the remote is shown at one pass, for whoever asks it without git.

use std::fmt;
use std::path::PathBuf;

use crate::config::Credentials;

/// By which rights the remote is asked at this pass: the same that git has.
///
/// Every path is a file that git or ssh would read; its content may change between passes, which
/// [`Grant::generation`] tells.
#[derive(Clone, Default)]
pub(crate) struct Grant {
    /// User name and password for the repository's own address.
    pub(crate) http: Option<Credentials>,
    /// The file that git takes authorities from; `None` is the system's own.
    pub(crate) ca: Option<PathBuf>,
    /// Cookies in the format of Netscape and curl (`http.cookieFile`).
    pub(crate) cookie_file: Option<PathBuf>,
    /// For an ssh remote.
    pub(crate) ssh: Option<SshGrant>,
    /// The user's own keys of git's configuration, in their order; a later one wins.
    pub(crate) git_config: Vec<(String, String)>,
    /// Differs from that of another pass whenever anything that the remote is shown has changed, the
    /// content of the files included. Never zero.
    pub(crate) generation: u64,
}

/// By which rights an ssh remote is asked.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct SshGrant {
    /// Private keys that ssh accepts, in the order in which they are tried.
    pub(crate) keys: Vec<PathBuf>,
    pub(crate) known_hosts: Option<PathBuf>,
    /// Whether the host's key is checked.
    pub(crate) check: bool,
    /// The user's environment names another ssh command (`GIT_SSH_COMMAND`).
    pub(crate) user_command: bool,
}

impl Grant {
    /// Tells whether the remote is shown the same, but for the content of the files.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.http == other.http
            && self.ca == other.ca
            && self.cookie_file == other.cookie_file
            && self.ssh == other.ssh
            && self.git_config == other.git_config
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A header among git's own keys may be a password.
        let keys: Vec<&str> = self
            .git_config
            .iter()
            .map(|(key, _)| key.as_str())
            .collect();
        f.debug_struct("Grant")
            .field("http", &self.http)
            .field("ca", &self.ca)
            .field("cookie_file", &self.cookie_file)
            .field("ssh", &self.ssh)
            .field("git_config", &keys)
            .field("generation", &self.generation)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        let grant = Grant {
            http: Some(Credentials {
                username: "me".into(),
                password: "hunter2".into(),
            }),
            git_config: vec![("http.extraHeader".into(), "Authorization: hunter3".into())],
            ..Grant::default()
        };
        let shown = format!("{grant:?}");
        assert!(!shown.contains("hunter"), "{shown}");
        assert!(shown.contains("http.extraHeader"), "{shown}");
    }
}
