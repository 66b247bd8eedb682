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
