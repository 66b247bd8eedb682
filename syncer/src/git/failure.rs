//! Causes of failures of git and ssh, recognised by their messages, and what to do about them.

mod words;

use std::borrow::Cow;
use std::fmt;

/// The cause of a failed git command, if its message is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FailureCause {
    Address,
    Authentication,
    BadKey,
    Certificate,
    ClientCertificate,
    DiskFull,
    Disliked,
    Exhausted,
    FileName,
    FileTransport,
    Filter,
    Forbidden,
    HostKeyChanged,
    HostKeyUnknown,
    DnsFailure,
    Locked,
    NoPasswdLine,
    NotACommit,
    NotGit,
    Object,
    ObjectFormat,
    Proxy,
    PublicKey,
    ReadOnly,
    Redirected,
    RefNotFound,
    Refused,
    Rejected,
    RepositoryNotFound,
    ServerError,
    SshMissing,
    SshNegotiation,
    Submodule,
    RateLimited,
    Unavailable,
    Unreachable,
    Unusable,
    Vanished,
}

impl fmt::Display for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => {
                "git does not support this kind of address: expected one that begins with https://, \
                 http://, ssh://, git:// or file://"
            }
            Self::Authentication => {
                "the server rejects the user name and password, or requires credentials and none are configured: \
                 check the Secret's keys username and password, or token"
            }
            Self::BadKey => {
                "the ssh private key cannot be read: it must be an unencrypted key file"
            }
            Self::Certificate => {
                "the server's certificate is not trusted: add the CA certificate to the Secret's key ca.crt, or set --git-config=http.sslCAInfo:FILE"
            }
            Self::ClientCertificate => {
                "the server requires a client certificate: add it and its private key to the Secret as tls.crt and tls.key"
            }
            Self::DiskFull => "the volume is full",
            Self::Disliked => "git's object check (fsckObjects) rejects the history",
            Self::Exhausted => {
                "git could not start a process or a thread, or ran out of memory: a limit of the container or of the node is reached"
            }
            Self::FileTransport => {
                "git refuses submodules with file:// addresses by default: set \
                 --git-config=protocol.file.allow:always"
            }
            Self::FileName => {
                "the revision contains a file name that this file system does not support"
            }
            Self::Filter => {
                "a filter program required by .gitattributes, such as git-lfs, is not installed or failed"
            }
            Self::Forbidden => {
                "the server denies this user access to the repository (403)"
            }
            Self::HostKeyChanged => {
                "the server's ssh host key does not match known_hosts: either it was changed, \
                 or this is not the right server"
            }
            Self::HostKeyUnknown => {
                "the server's ssh host key is not in known_hosts: add the line that `ssh-keyscan \
                 HOST` prints for this host (with `-p PORT` if the port is not 22) to the \
                 Secret's key known_hosts, or set --ssh-known-hosts=false (or \
                 GIT_KNOWN_HOSTS=false) to disable host key checking (insecure)"
            }
            Self::DnsFailure => "the host name cannot be resolved (DNS)",
            Self::Locked => "an earlier git command left a lock in the local repository",
            Self::NoPasswdLine => {
                "ssh needs a passwd entry for the syncer's user, and libnss_wrapper.so, which provides it, was not found: install it, or set its path in GITVOLUME_NSS_WRAPPER"
            }
            Self::NotACommit => "the ref names a tree or a file, not a commit",
            Self::NotGit => "the server at this address does not speak the git protocol",
            Self::Object => "an object is missing or damaged in the local repository",
            Self::ObjectFormat => {
                "the remote uses another object format than the local repository (SHA-1, SHA-256)"
            }
            Self::Proxy => {
                "the proxy refuses the connection, or cannot be reached: check its address, and the \
                 user name and password in it"
            }
            Self::PublicKey => {
                "the server rejects the ssh key: check the Secret's key ssh or \
                 ssh-privatekey, and that its public key has read access to the repository"
            }
            Self::ReadOnly => "the volume is read-only",
            Self::Redirected => {
                "the server redirects to another page, such as a sign-in page: check the address, and \
                 the credentials"
            }
            Self::RefNotFound => "the repository has no such branch, tag or commit",
            Self::Refused => "no server answers at the host's address and port",
            Self::Rejected => "the server rejects the request (4xx)",
            Self::RepositoryNotFound => {
                "there is no repository at this address, or the credentials do not grant access to it"
            }
            Self::ServerError => "the server reports an internal error (5xx)",
            Self::Unavailable => "the server reports that it is overloaded or in maintenance (503)",
            Self::RateLimited => "the server rejects the request because of its rate limit (429)",
            Self::SshMissing => "the program ssh is not installed",
            Self::SshNegotiation => {
                "the ssh server offers only algorithms that ssh no longer accepts: it needs newer \
                 software or another host key"
            }
            Self::Submodule => {
                "a submodule cannot be checked out: .gitmodules has no address for it, or its \
                 repository lacks the commit"
            }
            Self::Unreachable => "the host cannot be reached, or closes the connection",
            Self::Unusable => "git cannot open the repository on the volume",
            Self::Vanished => "a file that git needs is missing",
        })
    }
}

/// Whether a line is debug output of `ssh -v`, which resembles errors.
fn is_debug(line: &str) -> bool {
    ["debug1:", "debug2:", "debug3:"]
        .iter()
        .any(|prefix| line.starts_with(prefix))
}

/// The maximum number of git's lines in an error.
const LINES: usize = 4;

/// The maximum number of characters of a line in an error.
const LONGEST_LINE: usize = 600;

/// git's own message on one line, without prefixes.
pub(crate) fn detail(stderr: &str) -> String {
    let lines: Vec<&str> = stderr
        .lines()
        .map(str::trim)
        .filter(|line| !is_debug(line))
        .filter(|line| !line.is_empty() && !line.starts_with('@') && !line.starts_with("hint:"))
        .filter(|line| {
            !line.starts_with("Please make sure") && *line != "and the repository exists."
        })
        .collect();
    // Advice may follow the `fatal:` line; the reasons precede it.
    let verdict = lines.iter().position(|line| line.starts_with("fatal:"));
    let end = verdict.map_or(lines.len(), |at| at + 1);
    let lines = &lines[end.saturating_sub(LINES)..end];
    lines
        .iter()
        .map(|line| cut(line))
        .collect::<Vec<_>>()
        .join("; ")
}

/// A line, shortened in the middle if it is longer than the limit.
fn cut(line: &str) -> Cow<'_, str> {
    let length = line.chars().count();
    if length <= LONGEST_LINE {
        return line.into();
    }
    let head = line.chars().take(LONGEST_LINE / 2);
    let tail = line.chars().skip(length - LONGEST_LINE / 4);
    head.chain("[…]".chars()).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const SAMPLE_HOST_KEY_CHANGED: &str = "\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
Someone could be eavesdropping on you right now (man-in-the-middle attack)!
Host key for [127.0.0.1]:2222 has changed and you have requested strict checking.
Host key verification failed.
fatal: Could not read from remote repository.

Please make sure you have the correct access rights
and the repository exists.
";

    pub(super) const SAMPLE_HOST_KEY_UNKNOWN: &str = "\
No ED25519 host key is known for [127.0.0.1]:2222 and you have requested strict checking.
Host key verification failed.
fatal: Could not read from remote repository.
";

    const SAMPLE_LOCK: &str = "\
fatal: Unable to create '/x/index.lock': File exists.

Another git process seems to be running in this repository, e.g.
an editor opened by 'git commit'. Please make sure all processes
are terminated then try again. If it still fails, a git process
may have crashed in this repository earlier:
remove the file manually to continue.
";

    #[test]
    fn debug_output_of_ssh_is_not_an_error() {
        let stderr = "debug1: key_load_public: invalid format\r\n\
                      debug1: identity file /x type -1: No such file\n\
                      me@h: Permission denied (publickey).\n";
        assert_eq!(FailureCause::of(stderr), Some(FailureCause::PublicKey));
        assert_eq!(detail(stderr), "me@h: Permission denied (publickey).");
    }

    #[test]
    fn the_detail_is_one_line_of_gits_message() {
        assert_eq!(
            detail(SAMPLE_HOST_KEY_CHANGED),
            "Someone could be eavesdropping on you right now (man-in-the-middle attack)!; \
             Host key for [127.0.0.1]:2222 has changed and you have requested strict checking.; \
             Host key verification failed.; fatal: Could not read from remote repository."
        );
        let long = format!("fatal: {} the end", "ü".repeat(5000));
        let detail_of_long = detail(&long);
        assert!(detail_of_long.starts_with("fatal: ü") && detail_of_long.ends_with("ü the end"));
        assert!(
            detail_of_long.chars().count() < LONGEST_LINE,
            "{detail_of_long}"
        );
        assert!(!detail(SAMPLE_HOST_KEY_UNKNOWN).contains('\n'));
        assert_eq!(
            detail(SAMPLE_LOCK),
            "fatal: Unable to create '/x/index.lock': File exists."
        );
    }
}
