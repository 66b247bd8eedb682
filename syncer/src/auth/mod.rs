//! What git and ssh need to be let in, made anew at each sync, so that a rotated Secret needs no
//! restart.

mod askpass;
mod config_file;
mod credentials;
mod error;
pub(crate) mod git_config;
mod github;
mod grant;
pub(crate) mod helper;
mod memory;
mod pasted;
mod secret;
mod ssh;

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use args::RepoKind;
use args::UserInfo;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::time::Instant;

use crate::auth::config_file::ConfigFile;
use crate::auth::config_file::shell_quoted;
use crate::auth::credentials::Entry;
use crate::auth::credentials::Password;
use crate::auth::credentials::Question;
use crate::auth::credentials::Users;
use crate::auth::credentials::need_paths;
pub(crate) use crate::auth::error::AuthError;
use crate::auth::error::list_of;
use crate::auth::github::Tokens;
pub(crate) use crate::auth::grant::Grant;
pub(crate) use crate::auth::grant::SshGrant;
use crate::auth::memory::MemoryFiles;
use crate::auth::secret::Files;
use crate::auth::secret::Secret;
pub(crate) use crate::auth::secret::Stamp;
pub(crate) use crate::auth::ssh::nss_wrapper;
use crate::config::RepoConfig;
use crate::files;
use crate::git::Git;
use crate::git::allowance;
use crate::metrics::RepoMetrics;
use crate::private::Private;
use crate::redact;
use crate::redact::HiddenSecrets;
use crate::web;
use crate::web::Trust;

/// Keeps what git reads in step with the Secret.
pub(crate) struct Auth {
    metrics: RepoMetrics,
    /// git's configuration file, and the credential helper's list.
    gitconfig: PathBuf,
    list: PathBuf,
    tokens: Tokens,
    /// Keys that are not as ssh wants them, mended.
    keys: MemoryFiles,
    /// What was granted last, and the number of grants.
    granted: Arc<Grant>,
    generation: u64,
    /// The stamp of the files that it came from; none after a failure.
    stamp: Option<Stamp>,
    /// The same, whatever has failed since.
    granted_from: Option<Stamp>,
    files: Files,
    hidden: Hidden,
}

/// The secrets that are in use.
#[derive(Default)]
struct Hidden {
    granted: HiddenSecrets,
    /// Those of the grant before, which a command that was started with it may still report.
    before: HiddenSecrets,
    /// Those of an attempt that failed.
    failed: HiddenSecrets,
}

impl Auth {
    /// Points git to the private configuration, and writes all of it that needs no Secret.
    pub(crate) fn new(
        config: &RepoConfig,
        private: &Private,
        git: &mut Git,
        metrics: RepoMetrics,
    ) -> Result<Self, AuthError> {
        let auth = Self {
            metrics,
            gitconfig: private.path("gitconfig"),
            list: private.path("credentials"),
            tokens: Tokens::default(),
            keys: MemoryFiles::default(),
            granted: Arc::default(),
            generation: 0,
            stamp: None,
            granted_from: None,
            files: Files::of(config),
            hidden: Hidden::default(),
        };
        git.set("GIT_CONFIG_GLOBAL", &auth.gitconfig);
        if let Some(home) = &private.home {
            git.set("HOME", home);
        }
        if let Some(tmp) = &private.tmp {
            git.set("TMPDIR", tmp);
        }
        for (key, value) in &config.git_config {
            if key.to_ascii_lowercase().ends_with(".extraheader") {
                hide_header(value);
            }
        }
        let mut gitconfig = base_config(config);
        add_users(&mut gitconfig, config);
        write_config(&auth.gitconfig, &gitconfig)?;
        Ok(auth)
    }

    /// What the remote was shown last; nothing, of generation zero, before the first pass.
    pub(crate) fn granted(&self) -> &Grant {
        &self.granted
    }

    /// How the files look at this moment.
    pub(crate) fn stamp_now(&self) -> Stamp {
        self.files.stamp()
    }

    /// How the files looked that the last grant came from; none after a failure.
    pub(crate) fn stamp(&self) -> Option<&Stamp> {
        self.stamp.as_ref()
    }

    /// Reads the Secret again if it was changed, tells git what it says, and gives the same to whoever
    /// asks the remote without git.
    pub(crate) async fn refresh(
        &mut self,
        config: &RepoConfig,
        private: &Private,
        git: &mut Git,
        deadline: Instant,
    ) -> Result<Arc<Grant>, AuthError> {
        let stamp = self.stamp_now();
        let before = self.stamp.take();
        // Without it git would have no credentials at all, and its failures would not say so.
        let is_there = self.gitconfig.is_file();
        if !is_there {
            let path = self.gitconfig.clone();
            private
                .restore()
                .map_err(|source| AuthError::Write { path, source })?;
        }
        let is_settled = is_there && config.access.askpass_url.is_none() && !self.tokens.end_soon();
        if !is_settled || before.as_ref() != Some(&stamp) {
            let mut grant = self.renew(config, private, git, deadline).await?;
            // A failure since does not make the same credentials new ones.
            if self.granted_from.as_ref() != Some(&stamp) || !self.granted.is_like(&grant) {
                self.generation += 1;
                grant.generation = self.generation;
                self.granted = Arc::new(grant);
            }
            self.granted_from = Some(stamp.clone());
        }
        self.stamp = Some(stamp);
        Ok(self.granted.clone())
    }

    async fn renew(
        &mut self,
        config: &RepoConfig,
        private: &Private,
        git: &mut Git,
        deadline: Instant,
    ) -> Result<Grant, AuthError> {
        let mut hidden = HiddenSecrets::default();
        let renewed = self.renew_hiding(config, private, git, deadline, &mut hidden);
        let renewed = renewed.await;
        match &renewed {
            Ok(_) => self.hidden.before = std::mem::replace(&mut self.hidden.granted, hidden),
            Err(_) => self.hidden.failed = hidden,
        }
        renewed
    }

    async fn renew_hiding(
        &mut self,
        config: &RepoConfig,
        private: &Private,
        git: &mut Git,
        deadline: Instant,
        hidden: &mut HiddenSecrets,
    ) -> Result<Grant, AuthError> {
        let secret = Secret::of(config)?;
        if let Some(app) = &secret.app {
            hidden.add(&app.key);
        }
        let mut gitconfig = base_config(config);
        let mut grant = Grant {
            ca: web::git_ca(config),
            git_config: config.git_config.clone(),
            ..Grant::default()
        };
        let bundle = ca_bundle(config, &secret, grant.ca.as_deref())?;
        if let Some(bundle) = &bundle {
            let path = private.path("ca.crt");
            write(&path, bundle, files::SECRET_MODE)?;
            grant.ca = Some(path);
        }
        if let (Some(ca), Some(_)) = (&grant.ca, &config.environment.git_ssl_ca_info) {
            // The variable counts more than the configuration.
            git.set("GIT_SSL_CAINFO", ca);
        }
        if let Some(cookies) = &secret.cookie_file {
            hide_cookies(cookies, hidden)?;
            gitconfig.set("http.cookieFile", &cookies.display().to_string());
        }
        grant.cookie_file = secret.cookie_file.clone();
        let entries = self.entries(config, &secret, deadline).await?;
        for entry in &entries {
            hidden.add(&entry.password()?);
        }
        if config.repo.kind == RepoKind::Http {
            // git is given the address without the name, and asks so, too.
            if let Some(question) = Question::about(&config.repo.url) {
                let entry = question.answer(&entries);
                let read = entry.map(|entry| entry.credentials(&question));
                grant.http = read.transpose()?;
            }
        }
        if !entries.is_empty() {
            let json = serde_json::json!(entries).to_string();
            write(&self.list, json.as_bytes(), files::SECRET_MODE)?;
            gitconfig.set("credential.helper", &helper_command(&self.list)?);
            if need_paths(&entries) {
                gitconfig.set("credential.useHttpPath", "true");
            }
        }
        if let (true, Some(dir)) = (
            Self::is_without_credentials(config, &secret),
            &config.secret_dir,
        ) {
            tracing::info!(
                v = 0,
                keys = list_of(&secret::names(dir)),
                "the Secret has no key that is used for an http address"
            );
        }
        if let Some((certificate, key)) = &secret.client {
            gitconfig.set("http.sslCert", &certificate.display().to_string());
            gitconfig.set("http.sslKey", &key.display().to_string());
        }
        let ssh = ssh::command(config, private, &secret, &mut self.keys)?;
        if ssh.is_wrapped {
            // git judges ssh by the command's first word, which is then a variable.
            gitconfig.set("ssh.variant", "ssh");
        }
        git.set("GIT_SSH_COMMAND", ssh.line);
        grant.ssh = (config.repo.kind == RepoKind::Ssh).then_some(ssh.grant);
        add_users(&mut gitconfig, config);
        if let (Some(ca), Some(_)) = (&grant.ca, &bundle) {
            // It holds the user's own, too.
            gitconfig.set("http.sslCAInfo", &ca.display().to_string());
        }
        write_config(&self.gitconfig, &gitconfig)?;
        Ok(grant)
    }

    /// Tells whether a Secret is named and says nothing about the http remote.
    fn is_without_credentials(config: &RepoConfig, secret: &Secret) -> bool {
        config.repo.kind == RepoKind::Http
            && secret.entry.is_none()
            && secret.app.is_none()
            && secret.ca.is_none()
            && secret.client.is_none()
            && secret.cookie_file.is_none()
    }

    /// All users and passwords, in the order of precedence: for the repository itself what is asked
    /// for at each sync, the flags' and the address's own, and the Secret's; then `--credential`.
    async fn entries(
        &mut self,
        config: &RepoConfig,
        secret: &Secret,
        deadline: Instant,
    ) -> Result<Vec<Entry>, AuthError> {
        let RepoConfig { repo, access, .. } = config;
        let entry = |username: &str, password: Password| Entry {
            url: repo.url.clone(),
            username: username.to_owned(),
            users: Users::All,
            password,
        };
        let mut entries = Vec::new();
        if let Some(url) = &access.askpass_url {
            let asked = askpass::ask(url, &Trust::of_calls(config)).await;
            self.metrics.count_askpass_call(asked.is_ok());
            let asked = asked?;
            entries.push(entry(&asked.username, Password::Text(asked.password)));
        }
        if let Some(app) = &secret.app {
            if self.tokens.are_due(app) {
                tracing::info!(v = 3, "refreshing GitHub app token");
                let trust = Trust::of_calls(config);
                let renewed = self.tokens.renew(app, &trust, deadline).await;
                self.metrics.count_github_token(renewed.is_ok());
                renewed?;
            }
            let token = self.tokens.token().to_owned();
            entries.push(entry(github::USERNAME, Password::Text(token)));
        } else {
            self.tokens = Tokens::default();
        }
        let file = access.password_file.as_ref();
        let flags = match (&access.password, file) {
            (_, Some(file)) if !file.as_os_str().is_empty() => Some(Password::File(file.clone())),
            (password, _) => {
                let password = password.as_ref().map(args::Secret::reveal);
                password.map(|password| Password::Text(password.to_owned()))
            }
        };
        let username = access.username.as_deref().filter(|user| !user.is_empty());
        let name = repo.user.name();
        match (username.or(name), flags, &repo.user) {
            (Some(username), Some(password), _) => entries.push(entry(username, password)),
            (_, _, UserInfo::Credentials { username, password }) => {
                entries.push(entry(username, Password::Text(password.clone())));
            }
            _ => {}
        }
        entries.extend(secret.entry.clone());
        for credential in &access.credential {
            // git would take it for nothing that it knows, and say nothing.
            if !credential.url.contains("://") || Question::about(&credential.url).is_none() {
                return Err(AuthError::CredentialUrl(redact::redact(&credential.url)));
            }
            entries.push(Entry::from(credential));
        }
        if let (Some(name), Some(question)) = (name, Question::about(&repo.url)) {
            let plain = question.answer(&entries).cloned();
            let named = question.with_user(Some(name)).answer(&entries).cloned();
            match named {
                // git asks without the name, and is to get this one.
                Some(named) if plain.as_ref() != Some(&named) => {
                    let url = repo.url.clone();
                    entries.insert(0, Entry { url, ..named });
                }
                None if plain.is_none() => entries.push(Entry {
                    url: repo.url.clone(),
                    username: name.to_owned(),
                    users: Users::Own,
                    password: Password::Elsewhere,
                }),
                _ => {}
            }
        }
        Ok(entries)
    }
}

/// Adds the user's own keys, each in place of ours.
fn add_users(gitconfig: &mut ConfigFile, config: &RepoConfig) {
    for (key, value) in &config.git_config {
        if key.eq_ignore_ascii_case("credential.helper") {
            // git asks one after the other, and ours knows the flags' passwords.
            gitconfig.add(key, value);
        } else {
            gitconfig.set(key, value);
        }
    }
}

fn write_config(path: &Path, gitconfig: &ConfigFile) -> Result<(), AuthError> {
    // A header among the user's keys may be a password.
    write(path, gitconfig.to_string().as_bytes(), files::SECRET_MODE)
}

fn base_config(config: &RepoConfig) -> ConfigFile {
    let mut gitconfig = ConfigFile::default();
    // The volume belongs to whoever made it, and the app may run git under another user.
    gitconfig.set("safe.directory", "*");
    for (key, value) in allowance::settings() {
        gitconfig.set(key, value);
    }
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

/// Tells whether a value of git's `credential.helper` is the line by which git asks us.
pub(crate) fn is_our_helper(value: &str) -> bool {
    let ourselves = std::env::current_exe().unwrap_or_default();
    let ourselves = shell_quoted(&ourselves.display().to_string());
    value.starts_with(&format!("!{ourselves} credential "))
}

/// The line by which git asks us for a password.
fn helper_command(list: &Path) -> Result<String, AuthError> {
    let ourselves = std::env::current_exe().map_err(AuthError::Ourselves)?;
    Ok(format!(
        "!{} credential --file {}",
        shell_quoted(&ourselves.display().to_string()),
        shell_quoted(&list.display().to_string()),
    ))
}

/// What git is to trust where that is more than one file: its CA file takes the place of the
/// system's bundle, and the Secret's authority, the configuration's and those of `SSL_CERT_FILE` and
/// `SSL_CERT_DIR` are meant to be added. Where the user names a file, nothing is added to it but the
/// Secret's.
fn ca_bundle(
    config: &RepoConfig,
    secret: &Secret,
    users: Option<&Path>,
) -> Result<Option<Vec<u8>>, AuthError> {
    let own = config.access.ca_bundle.as_ref();
    let own = own.filter(|_| users.is_none());
    let own = own.map(|own| own.as_str().as_bytes());
    let environment = users
        .is_none()
        .then(|| web::environment_ca(&config.environment));
    let environment = environment.as_deref().filter(|pem| !pem.is_empty());
    let added = secret.ca.as_deref().into_iter().chain(own);
    let added: Vec<&[u8]> = added.chain(environment).collect();
    if added.is_empty() {
        return Ok(None);
    }
    let mut bundle = added.join(&b'\n');
    if let Some(path) = users.map(Path::to_owned).or_else(web::system_ca) {
        let other = fs::read(&path).map_err(|source| AuthError::Read { path, source })?;
        bundle.push(b'\n');
        bundle.extend(other);
    }
    Ok(Some(bundle))
}

/// Keeps a header of git's configuration out of the log, and the password in it where it is one of
/// HTTP's basic authentication.
fn hide_header(header: &str) {
    let (_, value) = header.split_once(':').unwrap_or(("", header));
    redact::hide_for_good(value);
    let Some((_, secret)) = value.trim().split_once(' ') else {
        return;
    };
    redact::hide_for_good(secret);
    let basic = STANDARD.decode(secret.trim()).unwrap_or_default();
    if let Some((_, password)) = String::from_utf8_lossy(&basic).split_once(':') {
        redact::hide_for_good(password);
    }
}

/// Keeps the values of the cookies, the last of seven fields, out of the log.
fn hide_cookies(path: &Path, hidden: &mut HiddenSecrets) -> Result<(), AuthError> {
    let cookies = fs::read(path).map_err(|source| AuthError::Read {
        path: path.to_owned(),
        source,
    })?;
    for line in String::from_utf8_lossy(&cookies).lines() {
        if let Some(value) = line.split('\t').nth(6) {
            hidden.add(value);
        }
    }
    Ok(())
}

/// Writes a file for git or ssh, unless it is there and says the same.
fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), AuthError> {
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    files::write_atomic(path, content, mode).map_err(|source| AuthError::Write {
        path: path.to_owned(),
        source,
    })
}
