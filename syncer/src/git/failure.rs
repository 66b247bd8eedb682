//! Reads git's and ssh's complaints, and says them in words that a user can act on.

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

/// What is looked for in git's own lines, the first that is found counts: causes stand before
/// consequences.
const WORDS: &[(&str, Why)] = &[
    ("no space left on device", Why::DiskFull),
    ("disk quota exceeded", Why::DiskFull),
    ("read-only file system", Why::ReadOnly),
    ("cannot fork", Why::Exhausted),
    ("resource temporarily unavailable", Why::Exhausted),
    ("unable to create thread", Why::Exhausted),
    ("cannot allocate memory", Why::Exhausted),
    ("out of memory", Why::Exhausted),
    ("too many open files", Why::Exhausted),
    (".lock': file exists", Why::Locked),
    ("mismatched algorithms", Why::ObjectFormat),
    ("no user exists for uid", Why::NoPasswdLine),
    (
        "remote host identification has changed",
        Why::HostKeyChanged,
    ),
    ("host key is known for", Why::HostKeyUnknown),
    ("host key verification failed", Why::HostKeyUnknown),
    ("unable to negotiate with", Why::SshNegotiation),
    ("no matching host key type", Why::SshNegotiation),
    ("no matching key exchange method", Why::SshNegotiation),
    ("no matching cipher", Why::SshNegotiation),
    ("no matching mac found", Why::SshNegotiation),
    ("error in libcrypto", Why::BadKey),
    ("invalid format", Why::BadKey),
    ("permission denied (", Why::PublicKey),
    ("too many authentication failures", Why::PublicKey),
    ("could not resolve proxy", Why::Proxy),
    ("from proxy after connect", Why::Proxy),
    ("connect tunnel failed", Why::Proxy),
    ("proxy connect aborted", Why::Proxy),
    ("returned error: 407", Why::Proxy),
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
    ("ssl certificate", Why::Certificate),
    ("certificate subject name", Why::Certificate),
    ("certificate has expired", Why::Certificate),
    ("ssl peer certificate", Why::Certificate),
    ("error setting certificate", Why::Certificate),
    (
        "unable to update url base from redirection",
        Why::Redirected,
    ),
    ("returned error: 3", Why::Redirected),
    ("returned error: 401", Why::Authentication),
    ("returned error: 403", Why::Forbidden),
    ("returned error: 404", Why::RepositoryNotFound),
    ("returned error: 410", Why::RepositoryNotFound),
    ("returned error: 429", Why::TooOften),
    ("returned error: 503", Why::Unavailable),
    ("returned error: 5", Why::ServerTrouble),
    ("returned error: 4", Why::Rejected),
    ("authentication failed for", Why::Authentication),
    ("could not read username", Why::Authentication),
    ("could not read password", Why::Authentication),
    ("unable to get password", Why::Authentication),
    ("couldn't find remote ref", Why::RefNotFound),
    ("not our ref", Why::RefNotFound),
    ("unadvertised object", Why::RefNotFound),
    ("did not match any file", Why::RefNotFound),
    ("invalid reference", Why::RefNotFound),
    ("to a non-commit", Why::NotACommit),
    ("reference is not a tree", Why::NotACommit),
    ("repository not found", Why::RepositoryNotFound),
    (
        "does not appear to be a git repository",
        Why::RepositoryNotFound,
    ),
    ("' does not exist", Why::RepositoryNotFound),
    ("cannot run ssh", Why::SshMissing),
    ("unable to find remote helper", Why::Address),
    ("transport '", Why::Address),
    ("is this a git repository?", Why::NotGit),
    ("invalid server response", Why::NotGit),
    ("bad line length character", Why::NotGit),
    ("expected flush", Why::NotGit),
    ("no url found for submodule", Why::Submodule),
    ("no submodule mapping found", Why::Submodule),
    ("cannot init submodule", Why::Submodule),
    ("direct fetching of that commit failed", Why::Submodule),
    ("repository has been updated to", Why::Submodule),
    ("file name too long", Why::FileName),
    ("invalid path '", Why::FileName),
    ("invalid or incomplete multibyte", Why::FileName),
    ("smudge filter", Why::Filter),
    ("external filter", Why::Filter),
    ("git-lfs: ", Why::Filter),
    ("fsck error in packed object", Why::Disliked),
    ("from promisor remote", Why::Unreachable),
    ("not a git repository", Why::Unusable),
    ("bad config", Why::Unusable),
    ("unknown repository extension", Why::Unusable),
    ("expected git repo version", Why::Unusable),
    ("bad shallow line", Why::Unusable),
    ("bad object", Why::Object),
    ("bad tree object", Why::Object),
    ("unable to read tree", Why::Object),
    ("unable to read sha1 file", Why::Object),
    ("unable to read object", Why::Object),
    ("unable to unpack", Why::Object),
    ("unable to parse object", Why::Object),
    ("could not parse object", Why::Object),
    ("could not parse commit", Why::Object),
    ("data stream error", Why::Object),
    ("corrupt loose object", Why::Object),
    (") is corrupt", Why::Object),
    ("corrupt or missing", Why::Object),
    ("garbage at end of loose object", Why::Object),
    ("hash mismatch", Why::Object),
    ("does not match index", Why::Object),
    ("is far too short to be a packfile", Why::Object),
    ("is not a git packfile", Why::Object),
    ("error: packfile ", Why::Object),
    ("failed to traverse parents", Why::Object),
    ("revision walk setup failed", Why::Object),
    ("did not receive expected object", Why::Object),
    ("did not send all necessary objects", Why::Object),
    ("unresolved delta", Why::Object),
    ("missing blob", Why::Object),
    ("missing tree", Why::Object),
    ("missing commit", Why::Object),
    ("invalid sha1 pointer", Why::Object),
    ("kex_exchange_identification", Why::Unreachable),
    ("ssh_exchange_identification", Why::Unreachable),
    ("banner exchange", Why::Unreachable),
    ("connection closed", Why::Unreachable),
    ("closed by remote host", Why::Unreachable),
    ("broken pipe", Why::Unreachable),
    ("gnutls", Why::Unreachable),
    ("ssl_connect", Why::Unreachable),
    ("ssl_read", Why::Unreachable),
    ("ssl_error", Why::Unreachable),
    ("ssl routines", Why::Unreachable),
    ("transfer closed", Why::Unreachable),
    ("operation too slow", Why::Unreachable),
    ("rpc failed", Why::Unreachable),
    ("early eof", Why::Unreachable),
    ("hung up unexpectedly", Why::Unreachable),
    ("unexpected disconnect", Why::Unreachable),
    ("protocol error", Why::NotGit),
    ("invalid index-pack output", Why::Unreachable),
    ("unable to access 'http", Why::Unreachable),
    ("no such file or directory", Why::Vanished),
];

/// What is looked for in the lines that are the server's own; they never speak of our disk.
const WORDS_OF_SERVERS: &[(&str, Why)] = &[
    ("repository not found", Why::RepositoryNotFound),
    ("could not be found", Why::RepositoryNotFound),
    ("access denied", Why::Authentication),
    (
        "possible repository corruption on the remote side",
        Why::ServerTrouble,
    ),
];

/// Lines that speak of one object of ours by its hash, where the words around it are general.
const WORDS_BEFORE_HASHES: [&str; 4] = [
    "unable to read ",
    "could not read ",
    "object file ",
    "invalid object ",
];

impl Why {
    /// Recognises the cause in what a command wrote to standard error.
    pub(crate) fn of(stderr: &str) -> Option<Self> {
        let lines = stderr.lines().filter(|line| !is_debug(line));
        let lines: Vec<String> = lines.map(|line| line.trim().to_lowercase()).collect();
        let (servers, own): (Vec<&String>, Vec<&String>) =
            lines.iter().partition(|line| line.starts_with("remote:"));
        if !own.is_empty() && own.iter().all(|line| is_dislike(line)) {
            return Some(Self::Disliked);
        }
        let find = |words: &[(&str, Self)], lines: &[&String]| {
            let mut known = words.iter();
            let found = known.find(|(words, _)| lines.iter().any(|line| line.contains(words)));
            found.map(|&(_, why)| why)
        };
        // "fatal: repository 'https://…' not found": the address stands between the words.
        let http_404 = || {
            own.iter()
                .any(|line| line.contains("repository '") && line.ends_with("not found"))
        };
        match find(WORDS, &own) {
            // A server's words say more than that the connection has ended.
            None | Some(Self::Unreachable | Self::Vanished) => {
                let servers = find(WORDS_OF_SERVERS, &servers);
                let known = servers.or_else(|| http_404().then_some(Self::RepositoryNotFound));
                let object = || {
                    own.iter()
                        .any(|line| names_object(line))
                        .then_some(Self::Object)
                };
                known.or_else(object).or_else(|| find(WORDS, &own))
            }
            known => known,
        }
    }
}

/// Tells whether a line of `git fsck` finds fault with the form of an object, which came like that
/// from the remote.
fn is_dislike(line: &str) -> bool {
    ["error in ", "warning in ", "notice: "]
        .iter()
        .any(|prefix| line.starts_with(prefix))
}

/// Tells whether a line is about an object that cannot be read, which it names.
fn names_object(line: &str) -> bool {
    WORDS_BEFORE_HASHES.iter().any(|words| {
        let rest = line.split_once(words).map(|(_, rest)| rest);
        let digits = rest.map(|rest| rest.bytes().take_while(u8::is_ascii_hexdigit).count());
        digits.is_some_and(|digits| digits >= 40)
    })
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
    fn outages_refusals_and_the_revisions_content_are_told_from_our_disk() {
        for (stderr, why) in [
            (
                "fatal: unable to update url base from redirection:\n  asked for: http://h/x.git/info/refs?service=git-upload-pack\n   redirect: http://h/users/sign_in",
                Why::Redirected,
            ),
            (
                "fatal: unable to access 'http://h/x.git/': The requested URL returned error: 307",
                Why::Redirected,
            ),
            (
                "fatal: unable to access 'https://h/x.git/': Received HTTP code 407 from proxy after CONNECT",
                Why::Proxy,
            ),
            (
                "fatal: unable to access 'https://h/x.git/': CONNECT tunnel failed, response 407",
                Why::Proxy,
            ),
            (
                "fatal: unable to access 'http://h/x.git/': The requested URL returned error: 407",
                Why::Proxy,
            ),
            (
                "fatal: unable to access 'http://h/x.git/': Could not resolve proxy: p",
                Why::Proxy,
            ),
            (
                "Unable to negotiate with 127.0.0.1 port 22: no matching host key type found. Their offer: ssh-rsa\nfatal: Could not read from remote repository.",
                Why::SshNegotiation,
            ),
            (
                "kex_exchange_identification: read: Connection reset by peer\nfatal: Could not read from remote repository.",
                Why::Unreachable,
            ),
            (
                "kex_exchange_identification: Connection closed by remote host\nfatal: Could not read from remote repository.",
                Why::Unreachable,
            ),
            (
                "error: RPC failed; curl 92 HTTP/2 stream 0 was not closed cleanly: CANCEL (err 8)\nfatal: early EOF",
                Why::Unreachable,
            ),
            (
                "remote: fatal: write error: No space left on device\nfatal: early EOF\nfatal: fetch-pack: invalid index-pack output",
                Why::Unreachable,
            ),
            (
                "remote: fatal: unable to read e83c5163316f89bfbde7d9ab23ca2e25604af290\nremote: aborting due to possible repository corruption on the remote side.\nfatal: early EOF",
                Why::ServerTrouble,
            ),
            (
                "fatal: unable to access 'https://h/': gnutls_handshake() failed: The TLS connection was non-properly terminated.",
                Why::Unreachable,
            ),
            (
                "fatal: https://h/x/info/refs not valid: is this a git repository?",
                Why::NotGit,
            ),
            (
                "fatal: protocol error: bad line length character: <htm",
                Why::NotGit,
            ),
            (
                "error: unable to create file nnnn: File name too long\nfatal: could not check out",
                Why::FileName,
            ),
            ("error: invalid path '.git/x'", Why::FileName),
            (
                "fatal: No url found for submodule path 'y' in .gitmodules",
                Why::Submodule,
            ),
            (
                "error: cannot fork() for index-pack: Resource temporarily unavailable\nfatal: fetch-pack: unable to fork off index-pack",
                Why::Exhausted,
            ),
            (
                "git-lfs filter-process: 1: git-lfs: not found\nfatal: the remote end hung up unexpectedly",
                Why::Filter,
            ),
            (
                "fatal: repository 'https://h/git-lfs/git-lfs.git/' not found",
                Why::RepositoryNotFound,
            ),
            (
                "remote: The project you were looking for could not be found\nfatal: Could not read from remote repository.",
                Why::RepositoryNotFound,
            ),
            (
                "fatal: could not fetch e83c5163316f89bfbde7d9ab23ca2e25604af290 from promisor remote",
                Why::Unreachable,
            ),
            (
                "error in commit e83c5163316f89bfbde7d9ab23ca2e25604af290: badTimezone: invalid author/committer line - bad time zone",
                Why::Disliked,
            ),
        ] {
            assert_eq!(Why::of(stderr), Some(why), "{stderr}");
        }
        assert_eq!(Why::of("remote: fatal: No space left on device"), None);
    }

    #[test]
    fn damage_of_our_own_repository_is_recognised() {
        let hash = "e83c5163316f89bfbde7d9ab23ca2e25604af290";
        for (stderr, why) in [
            (
                "fatal: Unable to create '/x/shallow.lock': File exists.".to_owned(),
                Why::Locked,
            ),
            (format!("fatal: unable to read {hash}"), Why::Object),
            (format!("fatal: unable to read tree {hash}"), Why::Object),
            (
                format!("error: unable to read sha1 file of b ({hash})"),
                Why::Object,
            ),
            (format!("error: Could not read {hash}"), Why::Object),
            (
                format!(
                    "error: object file .git/objects/e8/3c is empty\nfatal: loose object {hash} (stored in .git/objects/e8/3c) is corrupt"
                ),
                Why::Object,
            ),
            (
                "error: inflate: data stream error (incorrect data check)".to_owned(),
                Why::Object,
            ),
            (
                "fatal: pack has 3 unresolved deltas\nfatal: fetch-pack: invalid index-pack output"
                    .to_owned(),
                Why::Object,
            ),
            (
                "fatal: not a git repository: '/x'".to_owned(),
                Why::Unusable,
            ),
            (
                "fatal: bad config line 1 in file /x/config".to_owned(),
                Why::Unusable,
            ),
        ] {
            assert_eq!(Why::of(&stderr), Some(why), "{stderr}");
        }
        let address = "fatal: unable to read askpass response from 'x'";
        assert_eq!(Why::of(address), None);
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
