//! git's fetch over the ssh connection of the poll.
//!
//! For one fetch, git starts this program in place of ssh ([`Loan::git`]). It sends its standard
//! streams and git's command over a Unix socket to the syncer, which connects them with the session
//! of the poll. If that does not work, it runs ssh: nothing is lost but time.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use crate::git::Git;
use crate::remote::auth::shell_quoted;
use crate::system::files;

/// The variable with the socket's path.
pub(crate) const SOCKET: &str = "GITVOLUME_SSH_SOCKET";

/// The variable with the command line of ssh.
pub(crate) const SSH_COMMAND: &str = "GITVOLUME_SSH_COMMAND";

/// The byte that the syncer sends once the streams are connected. The next and last byte is the
/// exit status of the command on the server.
pub(crate) const CONNECTED: u8 = 1;

/// The limit of a Unix socket's path, in bytes (unix(7)).
const LONGEST_PATH: usize = 107;

/// What git runs on the server.
#[derive(Serialize, Deserialize)]
pub(crate) struct SshRequest {
    /// The command, as git gives it to ssh.
    pub(crate) command: String,
    /// The value of `GIT_PROTOCOL`.
    pub(crate) protocol: String,
}

/// A connection that is lent to git until this is dropped.
pub(crate) struct Loan {
    socket: PathBuf,
    task: JoinHandle<()>,
}

impl Loan {
    /// Creates the socket in this directory, which only the syncer may enter, and starts `serve`.
    /// `None` if there can be no socket; git then uses ssh.
    pub(super) fn start<F>(dir: &Path, serve: impl FnOnce(UnixListener) -> F) -> Option<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let socket = dir.join("ssh.sock");
        if socket.as_os_str().len() > LONGEST_PATH {
            return None;
        }
        let listen = || {
            files::remove_any(&socket)?;
            let listener = UnixListener::bind(&socket)?;
            fs::set_permissions(&socket, fs::Permissions::from_mode(files::SECRET_MODE))?;
            Ok::<_, std::io::Error>(listener)
        };
        let listener = listen()
            .inspect_err(|error| tracing::info!(v = 2, reason = %error, "cannot create a socket"))
            .ok()?;
        let task = tokio::spawn(serve(listener));
        Some(Self { socket, task })
    }

    /// The git program, with this program in place of ssh; `None` if its path is unknown.
    pub(crate) fn git(&self, git: &Git) -> Option<Git> {
        let ourselves = env::current_exe().ok()?;
        let ssh = git.get("GIT_SSH_COMMAND")?.to_owned();
        let mut git = git.clone();
        let line = format!("{} ssh --", shell_quoted(&ourselves.display().to_string()));
        git.set("GIT_SSH_COMMAND", line);
        // git cannot tell by the name that it is given ssh's options.
        git.set("GIT_SSH_VARIANT", "ssh");
        git.set(SSH_COMMAND, ssh);
        git.set(SOCKET, &self.socket);
        Some(git)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.task.abort();
        // The next one removes it, too.
        let _ = fs::remove_file(&self.socket);
    }
}
