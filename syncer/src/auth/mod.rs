//! What git and ssh need to be let in, made anew at each sync, so that a rotated Secret needs no
//! restart.

mod config_file;
pub(crate) mod git_config;
mod grant;
pub(crate) mod helper;
mod secret;
mod ssh;

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use args::RepoKind;
use tokio::time::Instant;

use crate::auth::config_file::ConfigFile;
use crate::auth::config_file::shell_quoted;
pub(crate) use crate::auth::grant::Grant;
pub(crate) use crate::auth::grant::SshGrant;
use crate::auth::secret::Secret;
pub(crate) use crate::auth::secret::Stamp;
use crate::config::RepoConfig;
use crate::files;
use crate::git::Git;
use crate::private::Private;
use crate::web;

/// What can be wrong with the credentials before git is asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthError {
    #[error(
        "the Secret has no key known_hosts, so the server's identity cannot be checked: add one \
         with the lines that ssh-keyscan prints for the host"
    )]
    NoKnownHosts,
    #[error("the Secret has none of the keys {}", .0.join(", "))]
    NoKey(&'static [&'static str]),
    #[error("cannot read {}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}", .path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot tell the path of our own program, which git asks for credentials")]
    Ourselves(#[source] io::Error),
}

/// Keeps what git reads in step with the Secret.
pub(crate) struct Auth {
    /// The present content of git's configuration file.
    written: String,
    gitconfig: PathBuf,
    /// What the last pass was granted, and the files' stamp then.
    granted: Arc<Grant>,
    stamp: Option<Stamp>,
}

impl Auth {
    /// Points git to the private configuration, and writes all of it that needs no Secret.
    pub(crate) fn new(
        config: &RepoConfig,
        private: &Private,
        git: &mut Git,
    ) -> Result<Self, AuthError> {
        let gitconfig = private.path("gitconfig");
        git.set("GIT_CONFIG_GLOBAL", &gitconfig);
        if let Some(home) = &private.home {
            git.set("HOME", home);
        }
        if let Some(tmp) = &private.tmp {
            git.set("TMPDIR", tmp);
        }
        let mut auth = Self {
            written: String::new(),
            gitconfig,
            granted: Arc::default(),
            stamp: None,
        };
        auth.write(config, base_config(config))?;
        Ok(auth)
    }

    /// Reads the Secret again, tells git what it says, and gives the same to whoever asks the remote
    /// without git.
    pub(crate) async fn refresh(
        &mut self,
        config: &RepoConfig,
        private: &Private,
        git: &mut Git,
        _deadline: Instant,
    ) -> Result<Arc<Grant>, AuthError> {
        let stamp = Stamp::of(config);
        let secret = Secret::of(config)?;
        let mut grant = Grant {
            http: config.repo.credentials.clone(),
            git_config: config.git_config.clone(),
            ..Grant::default()
        };
        let mut gitconfig = base_config(config);
        if let Some(ca) = &secret.ca {
            let bundle = private.path("ca.crt");
            write(&bundle, &with_system_ca(ca)?, files::PLAIN_MODE)?;
            gitconfig.set("http.sslCAInfo", &bundle.display().to_string());
            grant.ca = Some(bundle);
        }
        if let Some(helper) = helper_command(config, private, &secret)? {
            gitconfig.set("credential.helper", &helper);
        }
        if config.repo.kind == RepoKind::Ssh {
            let command = ssh::command(config, private, &secret)?;
            if command.is_wrapped {
                // git judges ssh by the command's first word, which is then a variable.
                gitconfig.set("ssh.variant", "ssh");
            }
            git.set("GIT_SSH_COMMAND", command.line);
            grant.ssh = Some(command.grant);
        }
        self.write(config, gitconfig)?;
        Ok(self.grant(grant, stamp))
    }

    /// Numbers a grant, so that a change is seen.
    fn grant(&mut self, mut grant: Grant, stamp: Stamp) -> Arc<Grant> {
        let is_same = self.granted.is_like(&grant) && self.stamp.as_ref() == Some(&stamp);
        if !is_same {
            grant.generation = self.granted.generation + 1;
            self.granted = Arc::new(grant);
            self.stamp = Some(stamp);
        }
        self.granted.clone()
    }

    /// Writes what git reads, the user's own keys last.
    fn write(&mut self, config: &RepoConfig, mut gitconfig: ConfigFile) -> Result<(), AuthError> {
        for (key, value) in &config.git_config {
            if key.eq_ignore_ascii_case("credential.helper") {
                // git asks one after the other, and ours knows the flags' passwords.
                gitconfig.add(key, value);
            } else {
                gitconfig.set(key, value);
            }
        }
        let text = gitconfig.to_string();
        if text != self.written {
            // A header among the user's keys may be a password.
            write(&self.gitconfig, text.as_bytes(), files::SECRET_MODE)?;
            self.written = text;
        }
        Ok(())
    }
}

fn base_config(config: &RepoConfig) -> ConfigFile {
    let mut gitconfig = ConfigFile::default();
    // The volume belongs to whoever made it, and the app may run git under another user.
    gitconfig.set("safe.directory", "*");
    // Nothing may escape the process group that a deadline kills.
    gitconfig.set("gc.autoDetach", "false");
    gitconfig.set("maintenance.autoDetach", "false");
    gitconfig.set("gc.pruneExpire", "now");
    // A user without a passwd line has no name, and git wants one for its reflogs.
    gitconfig.set("user.name", "gitvolume");
    gitconfig.set("user.email", "gitvolume@localhost");
    // Where the helper has no answer, nobody else is asked.
    gitconfig.set("core.askPass", "true");
    // A transport helper whose syncer was killed ends by itself, too.
    gitconfig.set("http.lowSpeedLimit", "1");
    let patience = config.sync_timeout.max(Duration::from_secs(1)).as_secs();
    gitconfig.set("http.lowSpeedTime", &patience.to_string());
    gitconfig
}

/// The line by which git asks us for a password, if there is one to give.
fn helper_command(
    config: &RepoConfig,
    private: &Private,
    secret: &Secret,
) -> Result<Option<String>, AuthError> {
    if config.repo.kind != RepoKind::Http {
        return Ok(None);
    }
    let source = if let Some(credentials) = &config.repo.credentials {
        let file = private.path("credential");
        let json = serde_json::json!(credentials).to_string();
        write(&file, json.as_bytes(), files::SECRET_MODE)?;
        format!("--file {}", shell_quoted(&file.display().to_string()))
    } else if let Some(dir) = config.secret_dir.as_ref().filter(|_| secret.has_password) {
        format!("--secret-dir {}", shell_quoted(&dir.display().to_string()))
    } else {
        return Ok(None);
    };
    let ourselves = std::env::current_exe().map_err(AuthError::Ourselves)?;
    Ok(Some(format!(
        "!{} credential --url {} {source}",
        shell_quoted(&ourselves.display().to_string()),
        shell_quoted(&config.repo.url),
    )))
}

/// `http.sslCAInfo` replaces the system's bundle, and the Secret's authority is meant to be added.
fn with_system_ca(ca: &[u8]) -> Result<Vec<u8>, AuthError> {
    let mut bundle = ca.to_vec();
    if let Some(path) = web::system_ca() {
        let system = fs::read(&path).map_err(|source| AuthError::Read { path, source })?;
        bundle.push(b'\n');
        bundle.extend(system);
    }
    Ok(bundle)
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), AuthError> {
    files::write_atomic(path, content, mode).map_err(|source| AuthError::Write {
        path: path.to_owned(),
        source,
    })
}
