//! Reads git's and ssh's complaints, and says them in words that a user can act on.

mod words;

use std::fmt;

/// Why a git command failed, where its words are known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Why {
    Address,
    Authentication,
    BadKey,
    Certificate,
    DiskFull,
    Disliked,
    Exhausted,
    FileName,
    Filter,
    Forbidden,
    HostKeyChanged,
    HostKeyUnknown,
    HostUnknown,
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
    ServerTrouble,
    SshMissing,
    SshNegotiation,
    Submodule,
    TooOften,
    Unavailable,
    Unreachable,
    Unusable,
    Vanished,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => {
                "git cannot use this kind of address: expected one that begins with https://, \
                 http://, ssh://, git:// or file://"
            }
            Self::Authentication => {
                "the server refuses the user name and password, or wants some and none are given: \
                 check the Secret's keys username and password, or token"
            }
            Self::BadKey => {
                "the ssh private key cannot be read: it must be an unencrypted key file"
            }
            Self::Certificate => {
                "the server's certificate is not trusted: put its authority into the Secret's key \
                 ca.crt, or name its file by --git-config=http.sslCAInfo:FILE"
            }
            Self::DiskFull => "the volume is full",
            Self::Disliked => "git's own check of objects finds fault with the history",
            Self::Exhausted => {
                "git could not start a process or a thread, or had no memory: the container's limits \
                 are reached"
            }
            Self::FileName => {
                "the revision has a file whose name cannot be written on this file system"
            }
            Self::Filter => {
                "a filter program that .gitattributes names, such as git-lfs, is not installed or \
                 failed"
            }
            Self::Forbidden => {
                "the server knows the user but refuses access to the repository (403)"
            }
            Self::HostKeyChanged => {
                "the server's ssh host key is not the one in known_hosts: either it was changed, \
                 or this is not the right server"
            }
            Self::HostKeyUnknown => {
                "the server's ssh host key is not in known_hosts: add the line that `ssh-keyscan \
                 HOST` prints for this host (`-p PORT` before it where the port is not 22) to the \
                 Secret's key known_hosts, or set --ssh-known-hosts=false (or \
                 GIT_KNOWN_HOSTS=false) to take any server for the right one"
            }
            Self::HostUnknown => "the host's name is not known to DNS",
            Self::Locked => "a lock of an earlier git command is in the local repository",
            Self::NoPasswdLine => {
                "ssh needs a passwd line for our user, and libnss_wrapper.so, which gives it one, \
                 was not found: install it, or name it by GITVOLUME_NSS_WRAPPER"
            }
            Self::NotACommit => "the ref names a tree or a file, not a commit",
            Self::NotGit => "what answers at this address does not speak git's protocol",
            Self::Object => "an object is missing or damaged in the local repository",
            Self::ObjectFormat => {
                "the remote names its objects by another hash than the local repository (SHA-1, \
                 SHA-256)"
            }
            Self::Proxy => {
                "the proxy refuses the connection, or cannot be reached: check its address, and the \
                 user name and password in it"
            }
            Self::PublicKey => {
                "the ssh key is not accepted by the server: check the Secret's key ssh or \
                 ssh-privatekey, and that its public half may read the repository"
            }
            Self::ReadOnly => "the volume is read-only",
            Self::Redirected => {
                "the server redirects to another page, such as a sign-in page: check the address, and \
                 the credentials"
            }
            Self::RefNotFound => "the repository has no such branch, tag or commit",
            Self::Refused => "nothing answers at the host's address and port",
            Self::Rejected => "the server rejects the request (4xx)",
            Self::RepositoryNotFound => {
                "there is no repository at this address, or the credentials may not see it"
            }
            Self::ServerTrouble => "the server answers that it has trouble of its own (5xx)",
            Self::Unavailable => "the server answers that it is overloaded or under repair (503)",
            Self::TooOften => "the server wants to be asked less often (429)",
            Self::SshMissing => "the program ssh is not installed",
            Self::SshNegotiation => {
                "the ssh server offers only algorithms that ssh no longer accepts: it needs newer \
                 software or another host key"
            }
            Self::Submodule => {
                "a submodule cannot be checked out: .gitmodules has no address for it, or its \
                 repository lacks the commit"
            }
            Self::Unreachable => "the host cannot be reached, or ends the connection",
            Self::Unusable => "git cannot open the repository on the volume",
            Self::Vanished => "a file is gone that git needs",
        })
    }
}

/// Tells whether a line is of `ssh -v`, which tells of every step as if it were trouble.
fn is_debug(line: &str) -> bool {
    ["debug1:", "debug2:", "debug3:"]
        .iter()
        .any(|prefix| line.starts_with(prefix))
}

/// How many of git's lines tell enough.
const LINES: usize = 4;

/// git's own words on one line, without decoration.
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
    // Advice may follow git's verdict; what led to it stands before.
    let verdict = lines.iter().position(|line| line.starts_with("fatal:"));
    let end = verdict.map_or(lines.len(), |at| at + 1);
    lines[end.saturating_sub(LINES)..end].join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE_HOST_KEY_CHANGED: &str = "\
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

    const SAMPLE_HOST_KEY_UNKNOWN: &str = "\
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
    fn what_ssh_tells_only_when_asked_is_no_complaint() {
        let stderr = "debug1: key_load_public: invalid format\r\n\
                      debug1: identity file /x type -1: No such file\n\
                      me@h: Permission denied (publickey).\n";
        assert_eq!(Why::of(stderr), Some(Why::PublicKey));
        assert_eq!(detail(stderr), "me@h: Permission denied (publickey).");
    }

    #[test]
    fn the_detail_is_one_line_in_gits_words() {
        assert_eq!(
            detail(SAMPLE_HOST_KEY_CHANGED),
            "Someone could be eavesdropping on you right now (man-in-the-middle attack)!; \
             Host key for [127.0.0.1]:2222 has changed and you have requested strict checking.; \
             Host key verification failed.; fatal: Could not read from remote repository."
        );
        assert!(!detail(SAMPLE_HOST_KEY_UNKNOWN).contains('\n'));
        assert_eq!(
            detail(SAMPLE_LOCK),
            "fatal: Unable to create '/x/index.lock': File exists."
        );
    }
}
