//! The texts that identify a cause in the messages of git and ssh.

use crate::git::failure::FailureCause;
use crate::git::failure::is_debug;

/// Texts of git's own lines. The first match wins: causes precede consequences.
const WORDS: &[(&str, FailureCause)] = &[
    ("no space left on device", FailureCause::DiskFull),
    ("disk quota exceeded", FailureCause::DiskFull),
    ("read-only file system", FailureCause::ReadOnly),
    ("cannot fork", FailureCause::Exhausted),
    ("resource temporarily unavailable", FailureCause::Exhausted),
    ("unable to create thread", FailureCause::Exhausted),
    ("cannot allocate memory", FailureCause::Exhausted),
    ("out of memory", FailureCause::Exhausted),
    // Killed by the kernel for lack of memory; git then only reports a closed connection.
    ("died of signal 9", FailureCause::Exhausted),
    ("too many open files", FailureCause::Exhausted),
    (".lock': file exists", FailureCause::Locked),
    ("mismatched algorithms", FailureCause::ObjectFormat),
    // Protocol versions 0 and 1.
    (
        "server does not support this repository's object format",
        FailureCause::ObjectFormat,
    ),
    // A server of version 2 that knows only SHA-1.
    (
        "server does not support algorithm",
        FailureCause::ObjectFormat,
    ),
    ("no user exists for uid", FailureCause::NoPasswdLine),
    (
        "remote host identification has changed",
        FailureCause::HostKeyChanged,
    ),
    ("host key is known for", FailureCause::HostKeyUnknown),
    ("host key verification failed", FailureCause::HostKeyUnknown),
    ("unable to negotiate with", FailureCause::SshNegotiation),
    ("no matching host key type", FailureCause::SshNegotiation),
    (
        "no matching key exchange method",
        FailureCause::SshNegotiation,
    ),
    ("no matching cipher", FailureCause::SshNegotiation),
    ("no matching mac found", FailureCause::SshNegotiation),
    ("error in libcrypto", FailureCause::BadKey),
    ("invalid format", FailureCause::BadKey),
    ("permission denied (", FailureCause::PublicKey),
    ("too many authentication failures", FailureCause::PublicKey),
    ("could not resolve proxy", FailureCause::Proxy),
    ("from proxy after connect", FailureCause::Proxy),
    ("connect tunnel failed", FailureCause::Proxy),
    ("proxy connect aborted", FailureCause::Proxy),
    ("returned error: 407", FailureCause::Proxy),
    ("could not resolve host", FailureCause::DnsFailure),
    ("name or service not known", FailureCause::DnsFailure),
    (
        "temporary failure in name resolution",
        FailureCause::DnsFailure,
    ),
    ("connection refused", FailureCause::Refused),
    ("couldn't connect to server", FailureCause::Refused),
    ("failed to connect to", FailureCause::Refused),
    ("connection timed out", FailureCause::Unreachable),
    ("operation timed out", FailureCause::Unreachable),
    ("connection reset", FailureCause::Unreachable),
    ("network is unreachable", FailureCause::Unreachable),
    ("no route to host", FailureCause::Unreachable),
    ("empty reply from server", FailureCause::Unreachable),
    ("certificate required", FailureCause::ClientCertificate),
    ("certificate is required", FailureCause::ClientCertificate),
    (
        "server certificate verification failed",
        FailureCause::Certificate,
    ),
    ("ssl certificate", FailureCause::Certificate),
    ("certificate subject name", FailureCause::Certificate),
    ("certificate has expired", FailureCause::Certificate),
    ("ssl peer certificate", FailureCause::Certificate),
    ("error setting certificate", FailureCause::Certificate),
    (
        "unable to update url base from redirection",
        FailureCause::Redirected,
    ),
    ("returned error: 3", FailureCause::Redirected),
    ("returned error: 401", FailureCause::Authentication),
    ("returned error: 403", FailureCause::Forbidden),
    ("returned error: 404", FailureCause::RepositoryNotFound),
    ("returned error: 410", FailureCause::RepositoryNotFound),
    ("returned error: 429", FailureCause::RateLimited),
    ("returned error: 503", FailureCause::Unavailable),
    ("returned error: 5", FailureCause::ServerError),
    ("returned error: 4", FailureCause::Rejected),
    ("authentication failed for", FailureCause::Authentication),
    ("could not read username", FailureCause::Authentication),
    ("could not read password", FailureCause::Authentication),
    ("unable to get password", FailureCause::Authentication),
    ("couldn't find remote ref", FailureCause::RefNotFound),
    ("not our ref", FailureCause::RefNotFound),
    ("unadvertised object", FailureCause::RefNotFound),
    ("did not match any file", FailureCause::RefNotFound),
    ("invalid reference", FailureCause::RefNotFound),
    ("to a non-commit", FailureCause::NotACommit),
    ("reference is not a tree", FailureCause::NotACommit),
    ("repository not found", FailureCause::RepositoryNotFound),
    (
        "does not appear to be a git repository",
        FailureCause::RepositoryNotFound,
    ),
    ("' does not exist", FailureCause::RepositoryNotFound),
    ("cannot run ssh", FailureCause::SshMissing),
    ("unable to find remote helper", FailureCause::Address),
    ("transport 'file' not allowed", FailureCause::FileTransport),
    ("transport '", FailureCause::Address),
    ("is this a git repository?", FailureCause::NotGit),
    ("invalid server response", FailureCause::NotGit),
    ("bad line length character", FailureCause::NotGit),
    ("expected flush", FailureCause::NotGit),
    ("no url found for submodule", FailureCause::Submodule),
    ("no submodule mapping found", FailureCause::Submodule),
    ("cannot init submodule", FailureCause::Submodule),
    (
        "direct fetching of that commit failed",
        FailureCause::Submodule,
    ),
    ("repository has been updated to", FailureCause::Submodule),
    ("file name too long", FailureCause::FileName),
    ("invalid path '", FailureCause::FileName),
    ("invalid or incomplete multibyte", FailureCause::FileName),
    ("smudge filter", FailureCause::Filter),
    ("external filter", FailureCause::Filter),
    ("git-lfs: ", FailureCause::Filter),
    ("fsck error in packed object", FailureCause::Disliked),
    ("from promisor remote", FailureCause::Unreachable),
    ("not a git repository", FailureCause::Unusable),
    ("bad config", FailureCause::Unusable),
    ("unknown repository extension", FailureCause::Unusable),
    ("expected git repo version", FailureCause::Unusable),
    ("bad shallow line", FailureCause::Unusable),
    ("bad object", FailureCause::Object),
    ("bad tree object", FailureCause::Object),
    ("unable to read tree", FailureCause::Object),
    ("unable to read sha1 file", FailureCause::Object),
    ("unable to read object", FailureCause::Object),
    ("unable to unpack", FailureCause::Object),
    ("unable to parse object", FailureCause::Object),
    ("could not parse object", FailureCause::Object),
    ("could not parse commit", FailureCause::Object),
    ("data stream error", FailureCause::Object),
    ("corrupt loose object", FailureCause::Object),
    (") is corrupt", FailureCause::Object),
    ("corrupt or missing", FailureCause::Object),
    ("garbage at end of loose object", FailureCause::Object),
    ("hash mismatch", FailureCause::Object),
    ("does not match index", FailureCause::Object),
    ("is far too short to be a packfile", FailureCause::Object),
    ("is not a git packfile", FailureCause::Object),
    ("error: packfile ", FailureCause::Object),
    ("failed to traverse parents", FailureCause::Object),
    ("revision walk setup failed", FailureCause::Object),
    ("did not receive expected object", FailureCause::Object),
    ("did not send all necessary objects", FailureCause::Object),
    ("unresolved delta", FailureCause::Object),
    ("missing blob", FailureCause::Object),
    ("missing tree", FailureCause::Object),
    ("missing commit", FailureCause::Object),
    ("invalid sha1 pointer", FailureCause::Object),
    ("kex_exchange_identification", FailureCause::Unreachable),
    ("ssh_exchange_identification", FailureCause::Unreachable),
    ("banner exchange", FailureCause::Unreachable),
    ("connection closed", FailureCause::Unreachable),
    ("closed by remote host", FailureCause::Unreachable),
    ("broken pipe", FailureCause::Unreachable),
    ("gnutls", FailureCause::Unreachable),
    ("ssl_connect", FailureCause::Unreachable),
    ("ssl_read", FailureCause::Unreachable),
    ("ssl_error", FailureCause::Unreachable),
    ("ssl routines", FailureCause::Unreachable),
    ("transfer closed", FailureCause::Unreachable),
    ("operation too slow", FailureCause::Unreachable),
    ("rpc failed", FailureCause::Unreachable),
    ("early eof", FailureCause::Unreachable),
    ("hung up unexpectedly", FailureCause::Unreachable),
    ("unexpected disconnect", FailureCause::Unreachable),
    ("protocol error", FailureCause::NotGit),
    ("invalid index-pack output", FailureCause::Unreachable),
    ("unable to access 'http", FailureCause::Unreachable),
    (
        "could not read from remote repository",
        FailureCause::Unreachable,
    ),
    ("no such file or directory", FailureCause::Vanished),
];

/// Texts of the server's lines; they never refer to the local disk.
const WORDS_OF_SERVERS: &[(&str, FailureCause)] = &[
    ("repository not found", FailureCause::RepositoryNotFound),
    ("could not be found", FailureCause::RepositoryNotFound),
    ("access denied", FailureCause::Authentication),
    (
        "possible repository corruption on the remote side",
        FailureCause::ServerError,
    ),
];

/// Prefixes of general messages that name a local object by its hash.
const WORDS_BEFORE_HASHES: [&str; 4] = [
    "unable to read ",
    "could not read ",
    "object file ",
    "invalid object ",
];

impl FailureCause {
    /// Recognises the cause in the standard error of a command.
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
        // "fatal: repository 'https://…' not found": the address is in the middle of the message.
        let http_404 = || {
            own.iter()
                .any(|line| line.contains("repository '") && line.ends_with("not found"))
        };
        // git cuts its messages after about 4,096 bytes, before the system's error.
        let is_cut = |line: &&String| line.len() > 4000 && line.contains("cannot create");
        match find(WORDS, &own).or_else(|| own.iter().any(is_cut).then_some(Self::FileName)) {
            // A server's message is more specific than a closed connection.
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

/// Whether a line of `git fsck` reports a malformed object, which came from the remote in that
/// form.
fn is_dislike(line: &str) -> bool {
    ["error in ", "warning in ", "notice: "]
        .iter()
        .any(|prefix| line.starts_with(prefix))
}

/// Whether a line names an object that cannot be read.
fn names_object(line: &str) -> bool {
    WORDS_BEFORE_HASHES.iter().any(|words| {
        let rest = line.split_once(words).map(|(_, rest)| rest);
        let digits = rest.map(|rest| rest.bytes().take_while(u8::is_ascii_hexdigit).count());
        digits.is_some_and(|digits| digits >= 40)
    })
}

#[cfg(test)]
mod tests;
