//! Keys that the syncer recognises in the mounted Secret.
//!
//! One annotation names the Secret; the keys identify their contents, without further settings. Of
//! several keys with the same meaning the first in the list counts. The names come from:
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

/// Password for http(s) remotes; used with [`USERNAMES`].
pub const PASSWORDS: [&str; 3] = ["password", "GITSYNC_PASSWORD", "GIT_SYNC_PASSWORD"];

/// Access token for http(s) remotes; used as the password, with [`USERNAMES`] or `git`.
pub const TOKENS: [&str; 2] = ["token", "bearerToken"];

/// CA certificates for https remotes, PEM.
pub const CAS: [&str; 2] = ["ca.crt", "caFile"];

/// Client certificate for https remotes, PEM; used with [`CLIENT_KEYS`].
pub const CLIENT_CERTIFICATES: [&str; 3] = ["tls.crt", "certFile", "tlsClientCertData"];

/// Private key of the client certificate, PEM.
pub const CLIENT_KEYS: [&str; 3] = ["tls.key", "keyFile", "tlsClientCertKey"];

/// Cookies for http(s) remotes, in the format of Netscape and curl.
pub const COOKIE_FILE: &str = "cookie_file";

/// Application ID of the GitHub App to authenticate as; requires [`GITHUB_APP_INSTALLATION_IDS`]
/// and [`GITHUB_APP_PRIVATE_KEYS`].
pub const GITHUB_APP_IDS: [&str; 2] = ["github-app-id", "githubAppID"];

/// Client ID of the GitHub App, in place of its application ID.
pub const GITHUB_APP_CLIENT_ID: &str = "github-app-client-id";

/// Installation ID of the GitHub App.
pub const GITHUB_APP_INSTALLATION_IDS: [&str; 2] =
    ["github-app-installation-id", "githubAppInstallationID"];

/// Private key of the GitHub App, PEM.
pub const GITHUB_APP_PRIVATE_KEYS: [&str; 2] = ["github-app-private-key", "githubAppPrivateKey"];

/// Base URL of the GitHub Enterprise API.
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
