//! Reads git's and ssh's complaints, and says them in words that a user can act on.

use std::fmt;

/// Why a git command failed, where its words are known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Why {
    Authentication,
    BadKey,
    Certificate,
    DiskFull,
    Forbidden,
    HostKeyChanged,
    HostKeyUnknown,
    HostUnknown,
    NoPasswdLine,
    PublicKey,
    RefNotFound,
    Refused,
    RepositoryNotFound,
    ServerTrouble,
    SshMissing,
    TooOften,
    Unavailable,
    Unreachable,
}

/// What is looked for, the first that is found counts: causes stand before consequences.
const WORDS: [(&str, Why); 37] = [
    ("no space left on device", Why::DiskFull),
    ("no user exists for uid", Why::NoPasswdLine),
    (
        "remote host identification has changed",
        Why::HostKeyChanged,
    ),
    ("host key is known for", Why::HostKeyUnknown),
    ("host key verification failed", Why::HostKeyUnknown),
    ("error in libcrypto", Why::BadKey),
    ("invalid format", Why::BadKey),
    ("permission denied (", Why::PublicKey),
    ("too many authentication failures", Why::PublicKey),
    ("could not resolve host", Why::HostUnknown),
    ("name or service not known", Why::HostUnknown),
    ("temporary failure in name resolution", Why::HostUnknown),
    ("connection refused", Why::Refused),
    ("couldn't connect to server", Why::Refused),
    ("failed to connect to", Why::Refused),
    ("connection timed out", Why::Unreachable),
    ("operation timed out", Why::Unreachable),
    ("connection reset", Why::Unreachable),
    ("network is unreachable", Why::Unreachable),
    ("no route to host", Why::Unreachable),
    ("empty reply from server", Why::Unreachable),
    ("server certificate verification failed", Why::Certificate),
    ("ssl certificate problem", Why::Certificate),
    ("returned error: 403", Why::Forbidden),
    ("returned error: 429", Why::TooOften),
    ("returned error: 503", Why::Unavailable),
    ("returned error: 5", Why::ServerTrouble),
    ("authentication failed for", Why::Authentication),
    ("returned error: 401", Why::Authentication),
    ("could not read username", Why::Authentication),
    ("could not read password", Why::Authentication),
    ("couldn't find remote ref", Why::RefNotFound),
    ("not our ref", Why::RefNotFound),
    ("unadvertised object", Why::RefNotFound),
    ("repository not found", Why::RepositoryNotFound),
    (
        "does not appear to be a git repository",
        Why::RepositoryNotFound,
    ),
    ("cannot run ssh", Why::SshMissing),
];

impl Why {
    /// Recognises the cause in what a command wrote to standard error.
    pub(crate) fn of(stderr: &str) -> Option<Self> {
        let text: Vec<&str> = stderr.lines().filter(|line| !is_debug(line)).collect();
        let text = text.join("\n").to_lowercase();
        let known = WORDS
            .iter()
            .find(|(words, _)| text.contains(words))
            .map(|&(_, why)| why);
        // "fatal: repository 'https://…' not found": the address stands between the words.
        let http_404 = || {
            text.lines()
                .any(|line| line.contains("repository '") && line.ends_with("not found"))
        };
        known.or_else(|| http_404().then_some(Self::RepositoryNotFound))
    }

    /// Tells whether the remote, or the way to it, is the cause.
    pub(crate) fn is_remotes(self) -> bool {
        self != Self::DiskFull
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
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
            Self::NoPasswdLine => {
                "ssh needs a passwd line for our user, and libnss_wrapper.so, which gives it one, \
                 was not found: install it, or name it by GITVOLUME_NSS_WRAPPER"
            }
            Self::PublicKey => {
                "the ssh key is not accepted by the server: check the Secret's key ssh or \
                 ssh-privatekey, and that its public half may read the repository"
            }
            Self::RefNotFound => "the repository has no such branch, tag or commit",
            Self::Refused => "nothing answers at the host's address and port",
            Self::RepositoryNotFound => {
                "there is no repository at this address, or the credentials may not see it"
            }
            Self::ServerTrouble => "the server answers that it has trouble of its own (5xx)",
            Self::Unavailable => "the server answers that it is overloaded or under repair (503)",
            Self::TooOften => "the server wants to be asked less often (429)",
            Self::SshMissing => "the program ssh is not installed",
            Self::Unreachable => "the host cannot be reached, or ends the connection",
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
    fn every_known_complaint_is_recognised() {
        for (stderr, why) in [
            (SAMPLE_HOST_KEY_CHANGED, Why::HostKeyChanged),
            (SAMPLE_HOST_KEY_UNKNOWN, Why::HostKeyUnknown),
            (
                "git@host: Permission denied (publickey).\nfatal: Could not read from remote repository.",
                Why::PublicKey,
            ),
            (
                "Load key \"/x/ssh\": error in libcrypto\ngit@h: Permission denied (publickey).",
                Why::BadKey,
            ),
            (
                "No user exists for uid 12345\nfatal: Could not read from remote repository.",
                Why::NoPasswdLine,
            ),
            (
                "fatal: Authentication failed for 'http://127.0.0.1:1/x.git/'",
                Why::Authentication,
            ),
            (
                "fatal: could not read Username for 'http://h': terminal prompts disabled",
                Why::Authentication,
            ),
            (
                "fatal: unable to access 'http://h/x.git/': The requested URL returned error: 403",
                Why::Forbidden,
            ),
            (
                "fatal: repository 'http://127.0.0.1:1/x.git/' not found",
                Why::RepositoryNotFound,
            ),
            (
                "ERROR: Repository not found.\nfatal: Could not read",
                Why::RepositoryNotFound,
            ),
            (
                "fatal: '/x' does not appear to be a git repository",
                Why::RepositoryNotFound,
            ),
            ("fatal: couldn't find remote ref nope", Why::RefNotFound),
            (
                "fatal: remote error: upload-pack: not our ref 1234567890123456789012345678901234567890",
                Why::RefNotFound,
            ),
            (
                "fatal: unable to access 'http://h/': Could not resolve host: h",
                Why::HostUnknown,
            ),
            (
                "ssh: Could not resolve hostname h: Name or service not known",
                Why::HostUnknown,
            ),
            (
                "fatal: unable to access 'http://h/': Failed to connect to h port 1 after 0 ms: Couldn't connect to server",
                Why::Refused,
            ),
            (
                "ssh: connect to host h port 22: Connection refused",
                Why::Refused,
            ),
            (
                "fatal: unable to access 'https://h/': server certificate verification failed. CAfile: none",
                Why::Certificate,
            ),
            (
                "error: file write error: No space left on device",
                Why::DiskFull,
            ),
            (
                "error: cannot run ssh: No such file or directory",
                Why::SshMissing,
            ),
        ] {
            assert_eq!(Why::of(stderr), Some(why), "{stderr}");
        }
        assert_eq!(Why::of("fatal: something new"), None);
    }

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
