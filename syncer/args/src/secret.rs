//! Which keys of the mounted Secret the syncer recognises.
//!
//! One annotation names the Secret and nothing else is configured: the keys say what they are.
//! `ssh` and `known_hosts` are git-sync's names; `ssh-privatekey`, `username` and `password` are
//! those of Kubernetes' own Secret types (`kubernetes.io/ssh-auth`, `kubernetes.io/basic-auth`).

/// Private keys for ssh remotes, in the order they are tried.
pub const SSH_KEYS: [&str; 2] = ["ssh", "ssh-privatekey"];

/// Host keys of ssh remotes, in OpenSSH's `known_hosts` format.
pub const KNOWN_HOSTS: &str = "known_hosts";

/// User name for http(s) remotes.
pub const USERNAME: &str = "username";

/// Password for http(s) remotes; goes with [`USERNAME`].
pub const PASSWORD: &str = "password";

/// Access token for http(s) remotes; used as the password, with [`USERNAME`] or `git`.
pub const TOKEN: &str = "token";

/// Certificate authorities for https remotes, PEM.
pub const CA: &str = "ca.crt";

/// Cookies for http(s) remotes, in the format of Netscape and curl.
pub const COOKIE_FILE: &str = "cookie_file";

/// Number of the GitHub App to authenticate as; goes with the two that follow.
pub const GITHUB_APP_ID: &str = "github-app-id";

/// Client ID of the GitHub App, in place of its number.
pub const GITHUB_APP_CLIENT_ID: &str = "github-app-client-id";

/// Number of the GitHub App's installation.
pub const GITHUB_APP_INSTALLATION_ID: &str = "github-app-installation-id";

/// Private key of the GitHub App, PEM.
pub const GITHUB_APP_PRIVATE_KEY: &str = "github-app-private-key";

/// Every key that is recognised.
pub const ALL: [&str; 12] = [
    SSH_KEYS[0],
    SSH_KEYS[1],
    KNOWN_HOSTS,
    USERNAME,
    PASSWORD,
    TOKEN,
    CA,
    COOKIE_FILE,
    GITHUB_APP_ID,
    GITHUB_APP_CLIENT_ID,
    GITHUB_APP_INSTALLATION_ID,
    GITHUB_APP_PRIVATE_KEY,
];
