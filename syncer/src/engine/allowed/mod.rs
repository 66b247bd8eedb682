//! Whether an engine would do exactly what git does with the settings in force.
//!
//! Each of git's keys, each variable of the environment and each line of ssh's files that could
//! change whom git asks, or as whom, must be one that the engines implement. All others leave the
//! asking to git, the unknown ones first.

mod environment;
mod git_config;
mod ssh_config;

use std::fmt;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use args::RepoKind;
use nix::unistd::Uid;
use nix::unistd::User;
use tokio::time::Instant;

use crate::auth::Grant;
use crate::config::RepoConfig;
use crate::git::Git;
use crate::mirror::Mirror;

/// How long git may take to list its configuration.
const PATIENCE: Duration = Duration::from_secs(10);

/// ssh's own files of a system; the first is harmless as distributions write it.
const SSH_CONFIG: &str = "/etc/ssh/ssh_config";
const SSH_CONFIG_PARTS: &str = "/etc/ssh/ssh_config.d";
const SSH_KNOWN_HOSTS: [&str; 2] = ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"];

/// A setting that is git's, or ssh's, alone; never with its value, which may be a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Setting(String);

impl Setting {
    /// A setting by its name, or in a few words.
    pub(super) fn of(name: impl Into<String>) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Judges all settings; the error is the first that is not on the list. Asks git, as it will run,
/// for its configuration.
pub(super) async fn judge(
    config: &RepoConfig,
    grant: &Grant,
    git: &Git,
    mirror: &Mirror,
) -> Result<(), Setting> {
    let kind = config.repo.kind;
    environment::judge(&config.environment, kind)?;
    if grant.cookie_file.is_some() && kind == RepoKind::Http {
        return Err(Setting::of("a cookie file"));
    }
    let listed = git
        .command("config")
        .git_dir(mirror.git_dir())
        .arg("--list")
        .arg("-z")
        .run(Instant::now() + PATIENCE)
        .await
        .map_err(|_| Setting::of("a configuration that git does not list"))?;
    git_config::judge(&listed, kind)?;
    if grant.ca.as_deref().is_some_and(Path::is_relative) {
        return Err(Setting::of("http.sslcainfo"));
    }
    match kind {
        RepoKind::Http => judge_netrc(&homes(config)),
        RepoKind::Ssh => judge_ssh(config, grant),
        RepoKind::Git => Err(Setting::of("a git:// address")),
        RepoKind::Local => Err(Setting::of("a path on this machine")),
    }
}

/// The home by `HOME` and the one in passwd: ssh looks at the latter.
fn homes(config: &RepoConfig) -> Vec<PathBuf> {
    let passwd = User::from_uid(Uid::current()).ok().flatten();
    let named = config.environment.home.as_ref().map(PathBuf::from);
    named
        .into_iter()
        .chain(passwd.map(|user| user.dir))
        .collect()
}

/// curl takes passwords from there, which git lets it.
fn judge_netrc(homes: &[PathBuf]) -> Result<(), Setting> {
    match homes.iter().find(|home| home.join(".netrc").exists()) {
        Some(_) => Err(Setting::of("~/.netrc")),
        None => Ok(()),
    }
}

fn judge_ssh(config: &RepoConfig, grant: &Grant) -> Result<(), Setting> {
    let ssh = grant.ssh.clone().unwrap_or_default();
    if ssh.user_command {
        return Err(Setting::of("GIT_SSH_COMMAND"));
    }
    if ssh.keys.is_empty() {
        return Err(Setting::of("no ssh key file"));
    }
    for path in SSH_KNOWN_HOSTS.map(Path::new) {
        if ssh.check && path.exists() {
            return Err(Setting::of(path.display().to_string()));
        }
    }
    let users = homes(config)
        .into_iter()
        .map(|home| home.join(".ssh/config"));
    let mut files: Vec<PathBuf> = users.chain([SSH_CONFIG.into()]).collect();
    if let Ok(parts) = fs::read_dir(SSH_CONFIG_PARTS) {
        files.extend(parts.flatten().map(|part| part.path()));
    }
    for path in files {
        match fs::read(&path) {
            Ok(text) => ssh_config::judge(&String::from_utf8_lossy(&text))
                .map_err(|word| Setting::of(format!("{word} in {}", path.display())))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            // ssh may be able to read it, or not: it will tell.
            Err(_) => return Err(Setting::of(path.display().to_string())),
        }
    }
    Ok(())
}
