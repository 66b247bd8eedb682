//! Which keys of the mounted Secret the syncer recognises.
//!
//! One annotation names the Secret and nothing else is configured: the keys say what they are. Of
//! several keys with the same meaning the first in the list counts. The names are those of:
//!
//! - git-sync (`ssh`, `known_hosts`, `cookie_file`), and ssh itself (`id_ed25519`, …);
//! - Kubernetes' own Secret types (`kubernetes.io/ssh-auth`, `kubernetes.io/basic-auth`,
//!   `kubernetes.io/tls`);
//! - Airflow's chart (`gitSshKey`, `GITSYNC_USERNAME`, `GIT_SYNC_USERNAME`, …);
//! - Argo CD's repositories (`sshPrivateKey`, `tlsClientCertData`, `githubAppID`, …);
//! - Flux' GitRepository (`identity`, `bearerToken`, `caFile`, `githubAppID`, …).

/// Private keys for ssh remotes, in the order they are tried.
pub const SSH_KEYS: [&str; 8] = [
    "ssh",
    "ssh-privatekey",
    "identity",
    "sshPrivateKey",
    "gitSshKey",
    "id_ed25519",
    "id_ecdsa",
    "id_rsa",
];

/// Host keys of ssh remotes, in OpenSSH's `known_hosts` format.
pub const KNOWN_HOSTS: &str = "known_hosts";

/// User name for http(s) remotes.
pub const USERNAMES: [&str; 3] = ["username", "GITSYNC_USERNAME", "GIT_SYNC_USERNAME"];

/// Password for http(s) remotes; goes with [`USERNAMES`].
pub const PASSWORDS: [&str; 3] = ["password", "GITSYNC_PASSWORD", "GIT_SYNC_PASSWORD"];

/// Access token for http(s) remotes; used as the password, with [`USERNAMES`] or `git`.
pub const TOKENS: [&str; 2] = ["token", "bearerToken"];

/// Certificate authorities for https remotes, PEM.
pub const CAS: [&str; 2] = ["ca.crt", "caFile"];

/// A client's certificate for https remotes, PEM; goes with [`CLIENT_KEYS`].
pub const CLIENT_CERTIFICATES: [&str; 3] = ["tls.crt", "certFile", "tlsClientCertData"];

/// The private key of the client's certificate, PEM.
pub const CLIENT_KEYS: [&str; 3] = ["tls.key", "keyFile", "tlsClientCertKey"];

/// Cookies for http(s) remotes, in the format of Netscape and curl.
pub const COOKIE_FILE: &str = "cookie_file";

/// Number of the GitHub App to authenticate as; goes with the two that follow.
pub const GITHUB_APP_IDS: [&str; 2] = ["github-app-id", "githubAppID"];

/// Client ID of the GitHub App, in place of its number.
pub const GITHUB_APP_CLIENT_ID: &str = "github-app-client-id";

/// Number of the GitHub App's installation.
pub const GITHUB_APP_INSTALLATION_IDS: [&str; 2] =
    ["github-app-installation-id", "githubAppInstallationID"];

/// Private key of the GitHub App, PEM.
pub const GITHUB_APP_PRIVATE_KEYS: [&str; 2] = ["github-app-private-key", "githubAppPrivateKey"];

/// Address of GitHub Enterprise's API.
pub const GITHUB_APP_BASE_URLS: [&str; 2] = ["githubAppBaseURL", "githubAppEnterpriseBaseUrl"];

/// Every key that is recognised.
pub fn all() -> impl Iterator<Item = &'static str> {
    [
        &SSH_KEYS[..],
        &[KNOWN_HOSTS],
        &USERNAMES,
        &PASSWORDS,
        &TOKENS,
        &CAS,
        &CLIENT_CERTIFICATES,
        &CLIENT_KEYS,
        &[COOKIE_FILE],
        &GITHUB_APP_IDS,
        &[GITHUB_APP_CLIENT_ID],
        &GITHUB_APP_INSTALLATION_IDS,
        &GITHUB_APP_PRIVATE_KEYS,
        &GITHUB_APP_BASE_URLS,
    ]
    .into_iter()
    .flatten()
    .copied()
}
