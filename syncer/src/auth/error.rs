use std::io;
use std::path::PathBuf;

use crate::auth::askpass::AskpassError;
use crate::auth::github::GithubError;
use crate::auth::pasted::KeyProblem;

/// What can be wrong with the credentials before git is asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthError {
    #[error(
        "the Secret has no key known_hosts, so the server's identity cannot be checked: add one \
         with the lines that `{0}` prints, or set --ssh-known-hosts=false (or \
         GIT_KNOWN_HOSTS=false) to take any server for the right one"
    )]
    NoKnownHosts(String),
    #[error(
        "the Secret has a part of a GitHub App: it needs github-app-id or github-app-client-id, \
         github-app-installation-id and github-app-private-key"
    )]
    HalfAnApp,
    #[error("the Secret's key github-app-installation-id: expected a number")]
    InstallationId,
    #[error(
        "--credential (or GITSYNC_CREDENTIAL): {0:?}: expected an address such as \
         https://git.example"
    )]
    CredentialUrl(String),
    #[error(transparent)]
    Askpass(#[from] AskpassError),
    #[error(transparent)]
    Github(#[from] GithubError),
    #[error(
        "the Secret has none of the keys {}; it has {}",
        .expected.join(", "),
        list_of(.names)
    )]
    NoKey {
        expected: &'static [&'static str],
        names: Vec<String>,
    },
    #[error("the ssh private key cannot be read: {} {}", .path.display(), .problem.words())]
    Key { path: PathBuf, problem: KeyProblem },
    #[error(
        "no host key is in {}: expected lines such as ssh-keyscan prints: a host, the kind of its \
         key and the key",
        .0.display()
    )]
    NoHostKeys(PathBuf),
    #[error(
        "the Secret's key githubAppBaseURL: expected an address such as https://api.github.com/"
    )]
    GithubBaseUrl,
    #[error("cannot read {}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}", .path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot tell the path of our own program, which git asks for credentials")]
    Ourselves(#[source] io::Error),
}

/// The names of a Secret's keys, for a sentence.
pub(super) fn list_of(names: &[String]) -> String {
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}
