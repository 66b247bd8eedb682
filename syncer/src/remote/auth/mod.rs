//! Authentication of git and ssh, renewed at each sync, so that a rotated Secret needs no restart.

mod askpass;
mod cache;
mod config_file;
mod credentials;
mod error;
mod github;
mod grant;
pub(crate) mod helper;
mod hidden;
mod memory;
mod pasted;
mod secret;
mod ssh;

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use args::RepoKind;
use args::UserInfo;
use tokio::time::Instant;

use crate::config::RepoConfig;
use crate::git::Git;
use crate::observe::metrics::RepoMetrics;
use crate::redact;
use crate::redact::HiddenSecrets;
use crate::remote::auth::config_file::ConfigFile;
use crate::remote::auth::credentials::CredentialList;
use crate::remote::auth::credentials::Entry;
use crate::remote::auth::credentials::Password;
use crate::remote::auth::credentials::Question;
use crate::remote::auth::credentials::Users;
use crate::remote::auth::credentials::need_paths;
use crate::remote::auth::error::list_of;
use crate::remote::auth::error::write;
use crate::remote::auth::github::Tokens;
use crate::remote::auth::helper::helper_command;
use crate::remote::auth::hidden::Hidden;
use crate::remote::auth::hidden::hide_cookies;
use crate::remote::auth::hidden::hide_header;
use crate::remote::auth::memory::MemoryFiles;
use crate::remote::auth::secret::Files;
use crate::remote::auth::secret::Secret;
use crate::remote::private::Private;
use crate::remote::web;
use crate::remote::web::Trust;
use crate::system::files;

#[cfg_attr(not(feature = "poller"), allow(unused_imports))]
pub(crate) use crate::remote::auth::cache::learn_cas;
pub(crate) use crate::remote::auth::config_file::shell_quoted;
pub(crate) use crate::remote::auth::error::AuthError;
pub(crate) use crate::remote::auth::grant::RemoteCredentials;
pub(crate) use crate::remote::auth::grant::SshCredentials;
pub(crate) use crate::remote::auth::helper::is_our_helper;
pub(crate) use crate::remote::auth::secret::Stamp;
pub(crate) use crate::remote::auth::ssh::nss_wrapper;

/// Keeps git's configuration in sync with the Secret.
pub(crate) struct Auth {
    metrics: RepoMetrics,
    /// git's configuration file, and the list of credentials for the helper.
    gitconfig: PathBuf,
    list: PathBuf,
    tokens: Tokens,
    /// Repaired copies of keys that ssh would refuse, and git's configuration for the cache.
    keys: MemoryFiles,
    /// git's configuration for the cache.
    cache: Option<PathBuf>,
    /// The last credentials.
    granted: Arc<RemoteCredentials>,
    /// The stamp of their source files; `None` after a failure.
    stamp: Option<Stamp>,
    /// The stamp of the files before they were last read, even if that failed.
    tried: Option<Stamp>,
    /// The stamp of the last credentials' source files, even after a later failure.
    granted_from: Option<Stamp>,
    files: Files,
    hidden: Hidden,
}

impl Auth {
    /// Makes git use the private configuration, and writes the part that needs no Secret.
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
            cache: None,
            granted: Arc::default(),
            stamp: None,
            tried: None,
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
        let mut gitconfig = ConfigFile::base(config);
        gitconfig.add_users(config);
        gitconfig.write(&auth.gitconfig)?;
        Ok(auth)
    }

    /// The last credentials; empty, with generation zero, before the first pass.
    pub(crate) fn granted(&self) -> &Arc<RemoteCredentials> {
        &self.granted
    }

    /// The git program for the pull-through cache: it sends the credentials of the git host with the
    /// first request, and trusts the cache's CAs for the cache alone. `None` without a cache, or
    /// before the first credentials.
    pub(crate) fn git_for_cache(&self, git: &Git) -> Option<Git> {
        let mut git = git.clone();
        git.set("GIT_CONFIG_GLOBAL", self.cache.as_ref()?);
        // They take precedence over the configuration.
        git.remove("GIT_SSL_CAINFO");
        git.remove("GIT_SSL_NO_VERIFY");
        Some(git)
    }

    /// Whether git's configuration file exists: it is lost with the directory of the syncer's own
    /// files.
    pub(crate) fn has_config_file(&self) -> bool {
        self.gitconfig.is_file()
    }

    /// The current stamp of the files.
    pub(crate) fn stamp_now(&self) -> Stamp {
        self.files.stamp()
    }

    /// The stamp of the files before they were last read; `None` before the first time.
    pub(crate) fn tried(&self) -> Option<&Stamp> {
        self.tried.as_ref()
    }

    /// Reads the Secret again if it has changed, updates git's configuration, and returns the same
    /// credentials for clients other than git.
    pub(crate) async fn refresh(
        &mut self,
        config: &RepoConfig,
        private: &Private,
        git: &mut Git,
        deadline: Instant,
    ) -> Result<Arc<RemoteCredentials>, AuthError> {
        let stamp = self.stamp_now();
        self.tried = Some(stamp.clone());
        let before = self.stamp.take();
        // Without it git would have no credentials, and its errors would not show the reason.
        let is_there = self.has_config_file();
        if !is_there {
            let path = self.gitconfig.clone();
            private
                .restore()
                .map_err(|source| AuthError::Write { path, source })?;
        }
        let is_settled = is_there && config.access.askpass_url.is_none() && !self.tokens.end_soon();
        if !is_settled || before.as_ref() != Some(&stamp) {
            let mut hidden = HiddenSecrets::default();
            let renewed = self.renew(config, private, git, deadline, &mut hidden);
            let renewed = renewed.await;
            self.hidden.replace(hidden, renewed.is_ok());
            let mut grant = renewed?;
            grant.generation = self.granted.generation;
            // A failure in between does not change the generation of equal credentials.
            if self.granted_from.as_ref() != Some(&stamp) || *self.granted != grant {
                grant.generation += 1;
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
        hidden: &mut HiddenSecrets,
    ) -> Result<RemoteCredentials, AuthError> {
        let secret = Secret::of(config)?;
        if let Some(app) = &secret.app {
            hidden.add(&app.key);
        }
        let mut gitconfig = ConfigFile::base(config);
        let mut grant = RemoteCredentials {
            ca: web::git_ca(config),
            git_config: config.git_config.clone(),
            ..RemoteCredentials::default()
        };
        let bundle = ca_bundle(config, &secret, grant.ca.as_deref())?;
        if let Some(bundle) = &bundle {
            let path = private.path("ca.crt");
            write(&path, bundle, files::SECRET_MODE)?;
            grant.ca = Some(path);
        }
        if let (Some(ca), Some(_)) = (&grant.ca, &config.environment.git_ssl_ca_info) {
            // The variable takes precedence over the configuration.
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
            // git gets the address without the name, and requests credentials without it too.
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
        grant.list = CredentialList::new(entries);
        if let Some(dir) = &config.secret_dir
            && Self::is_without_credentials(config, &secret)
        {
            tracing::info!(
                v = 0,
                keys = list_of(&secret::names(dir)),
                "the Secret has no key that applies to an http address"
            );
        }
        if let Some((certificate, key)) = &secret.client {
            gitconfig.set("http.sslCert", &certificate.display().to_string());
            gitconfig.set("http.sslKey", &key.display().to_string());
        }
        let ssh = ssh::command(config, private, &secret, &mut self.keys)?;
        if ssh.is_wrapped {
            // git detects ssh by the command's first word, which is a variable here.
            gitconfig.set("ssh.variant", "ssh");
        }
        git.set("GIT_SSH_COMMAND", ssh.line);
        grant.ssh = (config.repo.kind == RepoKind::Ssh).then_some(ssh.grant);
        gitconfig.add_users(config);
        if let (Some(ca), Some(_)) = (&grant.ca, &bundle) {
            // It includes the user's own CAs.
            gitconfig.set("http.sslCAInfo", &ca.display().to_string());
        }
        gitconfig.write(&self.gitconfig)?;
        if let Some(cache) = &config.cache {
            grant.cache_ca = cache::ca_file(cache, private)?;
            let text = cache::settings(cache, &self.gitconfig, &grant, hidden);
            let put = self
                .keys
                .put_or_write("cache.gitconfig", text.as_bytes(), private)?;
            self.cache = Some(put);
        }
        Ok(grant)
    }

    /// Whether a Secret is configured and has nothing for the http remote.
    fn is_without_credentials(config: &RepoConfig, secret: &Secret) -> bool {
        config.repo.kind == RepoKind::Http
            && secret.entry.is_none()
            && secret.app.is_none()
            && secret.ca.is_none()
            && secret.client.is_none()
            && secret.cookie_file.is_none()
    }

    /// All users and passwords in order of precedence: for the repository itself those requested at
    /// each sync, those of the flags and the address, and the Secret's; then `--credential`.
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
            let answer = askpass::ask(url, &Trust::of_calls(config)).await;
            self.metrics.count_askpass_call(answer.is_ok());
            let answer = answer?;
            entries.push(entry(&answer.username, Password::Text(answer.password)));
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
            // git would silently ignore such an address.
            if !credential.url.contains("://") || Question::about(&credential.url).is_none() {
                return Err(AuthError::CredentialUrl(redact::redact(&credential.url)));
            }
            entries.push(Entry::from(credential));
        }
        if let (Some(name), Some(question)) = (name, Question::about(&repo.url)) {
            let plain = question.answer(&entries).cloned();
            let named = question.with_user(Some(name)).answer(&entries).cloned();
            match named {
                // git requests credentials without the name, and must get this one.
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

/// The CA bundle for git, if the CAs are in more than one file: git's CA file replaces the system's
/// bundle, but the Secret's CA, the configured ones and those of `SSL_CERT_FILE` and `SSL_CERT_DIR`
/// are additions to it. If the user configures a file for git, only the Secret's CA is added.
fn ca_bundle(
    config: &RepoConfig,
    secret: &Secret,
    users: Option<&Path>,
) -> Result<Option<Vec<u8>>, AuthError> {
    let own = config.access.ca_bundle.as_ref();
    let own = own.filter(|_| users.is_none());
    let own = own.map(|bundle| bundle.as_str().as_bytes());
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
