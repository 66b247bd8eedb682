use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::remote::auth::askpass::AskpassError;
use crate::remote::auth::github::GithubError;
use crate::remote::auth::pasted::KeyProblem;
use crate::system::files;

/// An error of the credentials, before git runs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthError {
    #[error(
        "the Secret has no key known_hosts, so the server's identity cannot be checked: add one \
         with the lines that `{0}` prints, or set --ssh-known-hosts=false (or \
         GIT_KNOWN_HOSTS=false) to disable host key checking (insecure)"
    )]
    NoKnownHosts(String),
    #[error(
        "the Secret has an incomplete GitHub App: it needs github-app-id or github-app-client-id, \
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
        "no host key is in {}: expected lines of host, key type and key, as ssh-keyscan prints them",
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
    #[error(
        "cannot determine the path of the syncer's own program, which git runs as its credential helper"
    )]
    Ourselves(#[source] io::Error),
}

/// The names of a Secret's keys, as part of a sentence.
pub(super) fn list_of(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.join(", ")
}

/// Writes a file for git or ssh, unless it already has this content.
pub(crate) fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), AuthError> {
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    files::write_atomic(path, content, mode).map_err(|source| AuthError::Write {
        path: path.to_owned(),
        source,
    })
}
