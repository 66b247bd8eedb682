use super::*;
use crate::git::failure::tests::SAMPLE_HOST_KEY_CHANGED;
use crate::git::failure::tests::SAMPLE_HOST_KEY_UNKNOWN;

#[test]
fn every_known_complaint_is_recognised() {
    for (stderr, why) in [
        (SAMPLE_HOST_KEY_CHANGED, FailureCause::HostKeyChanged),
        (SAMPLE_HOST_KEY_UNKNOWN, FailureCause::HostKeyUnknown),
        (
            "git@host: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            FailureCause::PublicKey,
        ),
        (
            "Load key \"/x/ssh\": error in libcrypto\ngit@h: Permission denied (publickey).",
            FailureCause::BadKey,
        ),
        (
            "fatal: mismatched algorithms: client sha1; server sha256\nfetch-pack: unexpected disconnect while reading sideband packet",
            FailureCause::ObjectFormat,
        ),
        (
            "fatal: Server does not support this repository's object format\nfatal: the remote end hung up unexpectedly",
            FailureCause::ObjectFormat,
        ),
        (
            "fatal: the server does not support algorithm 'sha256'\nfatal: the remote end hung up unexpectedly",
            FailureCause::ObjectFormat,
        ),
        (
            "No user exists for uid 12345\nfatal: Could not read from remote repository.",
            FailureCause::NoPasswdLine,
        ),
        (
            "fatal: Authentication failed for 'http://127.0.0.1:1/x.git/'",
            FailureCause::Authentication,
        ),
        (
            "fatal: could not read Username for 'http://h': terminal prompts disabled",
            FailureCause::Authentication,
        ),
        (
            "fatal: unable to access 'http://h/x.git/': The requested URL returned error: 403",
            FailureCause::Forbidden,
        ),
        (
            "fatal: repository 'http://127.0.0.1:1/x.git/' not found",
            FailureCause::RepositoryNotFound,
        ),
        (
            "ERROR: Repository not found.\nfatal: Could not read",
            FailureCause::RepositoryNotFound,
        ),
        (
            "fatal: '/x' does not appear to be a git repository",
            FailureCause::RepositoryNotFound,
        ),
        (
            "fatal: couldn't find remote ref nope",
            FailureCause::RefNotFound,
        ),
        (
            "fatal: remote error: upload-pack: not our ref 1234567890123456789012345678901234567890",
            FailureCause::RefNotFound,
        ),
        (
            "fatal: unable to access 'http://h/': Could not resolve host: h",
            FailureCause::DnsFailure,
        ),
        (
            "ssh: Could not resolve hostname h: Name or service not known",
            FailureCause::DnsFailure,
        ),
        (
            "fatal: unable to access 'http://h/': Failed to connect to h port 1 after 0 ms: Couldn't connect to server",
            FailureCause::Refused,
        ),
        (
            "ssh: connect to host h port 22: Connection refused",
            FailureCause::Refused,
        ),
        (
            "fatal: unable to access 'https://h/': server certificate verification failed. CAfile: none",
            FailureCause::Certificate,
        ),
        (
            "error: file write error: No space left on device",
            FailureCause::DiskFull,
        ),
        (
            "error: index-pack died of signal 9\nfatal: fetch-pack: invalid index-pack output",
            FailureCause::Exhausted,
        ),
        (
            "fatal: unable to access 'https://h/': GnuTLS recv error (-12): A TLS fatal alert has been received: Certificate is required",
            FailureCause::ClientCertificate,
        ),
        (
            "fatal: unable to access 'https://h/': OpenSSL SSL_read: error:0A00045C:SSL routines::tlsv13 alert certificate required, errno 0",
            FailureCause::ClientCertificate,
        ),
        (
            "Cloning into 'x'...\nfatal: transport 'file' not allowed",
            FailureCause::FileTransport,
        ),
        (
            "error: cannot run ssh: No such file or directory",
            FailureCause::SshMissing,
        ),
    ] {
        assert_eq!(FailureCause::of(stderr), Some(why), "{stderr}");
    }
    // git cuts a message with a path that is too long, including the system's error.
    let long = format!("fatal: cannot create directory at '{}", "d/".repeat(2030));
    assert_eq!(FailureCause::of(&long), Some(FailureCause::FileName));
    assert_eq!(FailureCause::of("fatal: something new"), None);
}

#[test]
fn outages_refusals_and_bad_revisions_are_distinguished_from_local_damage() {
    for (stderr, why) in [
        (
            "fatal: unable to update url base from redirection:\n  asked for: http://h/x.git/info/refs?service=git-upload-pack\n   redirect: http://h/users/sign_in",
            FailureCause::Redirected,
        ),
        (
            "fatal: unable to access 'http://h/x.git/': The requested URL returned error: 307",
            FailureCause::Redirected,
        ),
        (
            "fatal: unable to access 'https://h/x.git/': Received HTTP code 407 from proxy after CONNECT",
            FailureCause::Proxy,
        ),
        (
            "fatal: unable to access 'https://h/x.git/': CONNECT tunnel failed, response 407",
            FailureCause::Proxy,
        ),
        (
            "fatal: unable to access 'http://h/x.git/': The requested URL returned error: 407",
            FailureCause::Proxy,
        ),
        (
            "fatal: unable to access 'http://h/x.git/': Could not resolve proxy: p",
            FailureCause::Proxy,
        ),
        (
            "Unable to negotiate with 127.0.0.1 port 22: no matching host key type found. Their offer: ssh-rsa\nfatal: Could not read from remote repository.",
            FailureCause::SshNegotiation,
        ),
        (
            "kex_exchange_identification: read: Connection reset by peer\nfatal: Could not read from remote repository.",
            FailureCause::Unreachable,
        ),
        (
            "kex_exchange_identification: Connection closed by remote host\nfatal: Could not read from remote repository.",
            FailureCause::Unreachable,
        ),
        (
            "error: RPC failed; curl 92 HTTP/2 stream 0 was not closed cleanly: CANCEL (err 8)\nfatal: early EOF",
            FailureCause::Unreachable,
        ),
        (
            "remote: fatal: write error: No space left on device\nfatal: early EOF\nfatal: fetch-pack: invalid index-pack output",
            FailureCause::Unreachable,
        ),
        (
            "remote: fatal: unable to read e83c5163316f89bfbde7d9ab23ca2e25604af290\nremote: aborting due to possible repository corruption on the remote side.\nfatal: early EOF",
            FailureCause::ServerError,
        ),
        (
            "fatal: unable to access 'https://h/': gnutls_handshake() failed: The TLS connection was non-properly terminated.",
            FailureCause::Unreachable,
        ),
        (
            "fatal: https://h/x/info/refs not valid: is this a git repository?",
            FailureCause::NotGit,
        ),
        (
            "fatal: protocol error: bad line length character: <htm",
            FailureCause::NotGit,
        ),
        (
            "error: unable to create file nnnn: File name too long\nfatal: could not check out",
            FailureCause::FileName,
        ),
        ("error: invalid path '.git/x'", FailureCause::FileName),
        (
            "fatal: No url found for submodule path 'y' in .gitmodules",
            FailureCause::Submodule,
        ),
        (
            "error: cannot fork() for index-pack: Resource temporarily unavailable\nfatal: fetch-pack: unable to fork off index-pack",
            FailureCause::Exhausted,
        ),
        (
            "git-lfs filter-process: 1: git-lfs: not found\nfatal: the remote end hung up unexpectedly",
            FailureCause::Filter,
        ),
        (
            "fatal: repository 'https://h/git-lfs/git-lfs.git/' not found",
            FailureCause::RepositoryNotFound,
        ),
        (
            "remote: The project you were looking for could not be found\nfatal: Could not read from remote repository.",
            FailureCause::RepositoryNotFound,
        ),
        (
            "fatal: could not fetch e83c5163316f89bfbde7d9ab23ca2e25604af290 from promisor remote",
            FailureCause::Unreachable,
        ),
        (
            "error in commit e83c5163316f89bfbde7d9ab23ca2e25604af290: badTimezone: invalid author/committer line - bad time zone",
            FailureCause::Disliked,
        ),
    ] {
        assert_eq!(FailureCause::of(stderr), Some(why), "{stderr}");
    }
    assert_eq!(
        FailureCause::of("remote: fatal: No space left on device"),
        None
    );
}

#[test]
fn damage_of_the_local_repository_is_recognised() {
    let hash = "e83c5163316f89bfbde7d9ab23ca2e25604af290";
    for (stderr, why) in [
        (
            "fatal: Unable to create '/x/shallow.lock': File exists.".to_owned(),
            FailureCause::Locked,
        ),
        (
            format!("fatal: unable to read {hash}"),
            FailureCause::Object,
        ),
        (
            format!("fatal: unable to read tree {hash}"),
            FailureCause::Object,
        ),
        (
            format!("error: unable to read sha1 file of b ({hash})"),
            FailureCause::Object,
        ),
        (
            format!("error: Could not read {hash}"),
            FailureCause::Object,
        ),
        (
            format!(
                "error: object file .git/objects/e8/3c is empty\nfatal: loose object {hash} (stored in .git/objects/e8/3c) is corrupt"
            ),
            FailureCause::Object,
        ),
        (
            "error: inflate: data stream error (incorrect data check)".to_owned(),
            FailureCause::Object,
        ),
        (
            "fatal: pack has 3 unresolved deltas\nfatal: fetch-pack: invalid index-pack output"
                .to_owned(),
            FailureCause::Object,
        ),
        (
            "fatal: not a git repository: '/x'".to_owned(),
            FailureCause::Unusable,
        ),
        (
            "fatal: bad config line 1 in file /x/config".to_owned(),
            FailureCause::Unusable,
        ),
    ] {
        assert_eq!(FailureCause::of(&stderr), Some(why), "{stderr}");
    }
    let address = "fatal: unable to read askpass response from 'x'";
    assert_eq!(FailureCause::of(address), None);
}
