//! Whether an engine does exactly what git does with the current settings.
//!
//! Each key of git, each environment variable and each line of ssh's files that could change the
//! remote or the credentials must be one that the engines implement. With any other setting, and
//! with every unknown one, git polls the remote.

mod environment;
pub(crate) mod files;
mod git_config;
pub(crate) mod setting;
mod ssh_config;

use crate::poll::allowed::files::SSH_CONFIG;
use crate::poll::allowed::files::SSH_CONFIG_PARTS;
use crate::poll::allowed::files::SSH_KNOWN_HOSTS;
use crate::poll::allowed::files::homes;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use args::RepoKind;
use tokio::time::Instant;

use crate::config::RepoConfig;
use crate::git::Git;
use crate::poll::allowed::setting::Setting;
use crate::remote::auth::RemoteCredentials;

/// The timeout for git to list its configuration.
const GIT_CONFIG_TIMEOUT: Duration = Duration::from_secs(10);

/// Checks all settings; the error is the first one that is not on the list. Runs git, as
/// configured, to list its configuration.
pub(super) async fn judge(
    config: &RepoConfig,
    grant: &RemoteCredentials,
    git: &Git,
    git_dir: &Path,
) -> Result<(), Setting> {
    let kind = config.repo.kind;
    environment::judge(&config.environment, kind)?;
    if grant.cookie_file.is_some() && kind == RepoKind::Http {
        return Err(Setting::of("a cookie file"));
    }
    let git = git.session(Instant::now() + GIT_CONFIG_TIMEOUT).at(git_dir);
    let listed = git
        .config_list()
        .await
        .map_err(|_| Setting::of("git config --list failed"))?;
    git_config::judge(&listed, kind)?;
    if grant.ca.as_deref().is_some_and(Path::is_relative) {
        return Err(Setting::of("http.sslcainfo"));
    }
    match kind {
        RepoKind::Http => judge_netrc(&homes(config)),
        RepoKind::Ssh => judge_ssh(config, grant),
        RepoKind::Git => Err(Setting::of("a git:// address")),
        RepoKind::Local => Err(Setting::local()),
    }
}

/// curl reads passwords from there on git's behalf.
fn judge_netrc(homes: &[PathBuf]) -> Result<(), Setting> {
    match homes.iter().find(|home| home.join(".netrc").exists()) {
        Some(_) => Err(Setting::of("~/.netrc")),
        None => Ok(()),
    }
}

fn judge_ssh(config: &RepoConfig, grant: &RemoteCredentials) -> Result<(), Setting> {
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
            // Whether ssh can read it is unknown: ssh reports it.
            Err(_) => return Err(Setting::of(path.display().to_string())),
        }
    }
    Ok(())
}
