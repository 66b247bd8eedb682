//! The current content of a mounted Secret and of the files of git-sync's flags.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use args::RepoKind;
use args::paths;
use args::secret;
use url::Url;

use crate::config::AccessConfig;
use crate::config::RepoConfig;
use crate::remote::auth::AuthError;
use crate::remote::auth::credentials::Entry;
use crate::remote::auth::credentials::Password;
use crate::remote::auth::credentials::Users;
use crate::remote::auth::github::App;
use crate::remote::web;
use crate::system::files;

/// The user name for a token, if neither the Secret nor the address has one; servers ignore it.
const TOKEN_USER: &str = "git";

/// The values of the flags' files and of the Secret; the flags take precedence.
#[derive(Default)]
pub(super) struct Secret {
    /// Private keys in the order in which ssh tries them; a flag's file need not exist.
    pub(super) keys: Vec<PathBuf>,
    pub(super) known_hosts: Option<PathBuf>,
    pub(super) ca: Option<Vec<u8>>,
    /// A client's certificate and its key.
    pub(super) client: Option<(PathBuf, PathBuf)>,
    pub(super) cookie_file: Option<PathBuf>,
    /// The Secret's user and password, or token.
    pub(super) entry: Option<Entry>,
    pub(super) app: Option<App>,
}

impl Secret {
    /// Reads the files of the flags and the directory of `--secret-dir`.
    pub(super) fn of(config: &RepoConfig) -> Result<Self, AuthError> {
        let access = &config.access;
        let mut found = Self {
            keys: access.ssh_keys.clone(),
            known_hosts: access.known_hosts.clone(),
            cookie_file: access.cookie_file.then(cookie_file),
            app: app_of_flags(access)?,
            ..Self::default()
        };
        if let Some(path) = found.cookie_file.as_deref() {
            fs::metadata(path).map_err(|source| AuthError::Read {
                path: path.to_owned(),
                source,
            })?;
        }
        if let Some(dir) = &config.secret_dir {
            found.add(dir, config)?;
        }
        Ok(found)
    }

    /// Adds the values of the directory.
    fn add(&mut self, dir: &Path, config: &RepoConfig) -> Result<(), AuthError> {
        // The flags' defaults are ignored if the files do not exist.
        let flags = std::mem::take(&mut self.keys);
        self.keys = present(dir, &secret::SSH_KEYS).collect();
        for key in flags {
            if key.is_file() && !self.keys.contains(&key) {
                self.keys.push(key);
            }
        }
        let known_hosts = self.known_hosts.take().filter(|path| path.is_file());
        self.known_hosts = present(dir, &[secret::KNOWN_HOSTS]).next().or(known_hosts);
        let cookie_file = self.cookie_file.take();
        self.cookie_file = cookie_file.or_else(|| present(dir, &[secret::COOKIE_FILE]).next());
        let ca = present(dir, &secret::CAS).next();
        self.ca = ca.map(|path| read(&path)).transpose()?;
        let certificate = present(dir, &secret::CLIENT_CERTIFICATES).next();
        let key = present(dir, &secret::CLIENT_KEYS).next();
        if config.repo.kind == RepoKind::Http && certificate.is_some() != key.is_some() {
            tracing::info!(
                v = 0,
                certificate = ?certificate,
                key = ?key,
                "the Secret has a client certificate without its private key, or the key without the certificate: the syncer uses neither"
            );
        }
        self.client = certificate.zip(key);
        let passwords = present(dir, &secret::PASSWORDS).chain(present(dir, &secret::TOKENS));
        // Other programs write keys without a value.
        let has_value =
            |path: &PathBuf| fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0);
        if let Some(password) = passwords.into_iter().find(has_value) {
            let flag = config.access.username.as_deref();
            let named = flag.filter(|user| !user.is_empty());
            let named = named.or(config.repo.user.name());
            let (username, users) = match (text(dir, &secret::USERNAMES)?, named) {
                (Some(own), _) => (own, Users::All),
                (None, Some(name)) => (name.to_owned(), Users::Kept),
                (None, None) => (TOKEN_USER.to_owned(), Users::Kept),
            };
            self.entry = Some(Entry {
                url: config.repo.url.clone(),
                username,
                users,
                password: Password::File(password),
            });
        }
        if self.app.is_none() {
            self.app = app_of_secret(dir, &config.access)?;
        }
        Ok(())
    }
}

/// File metadata that changes with the content of any of these files, so that they need not be
/// read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Stamp(Vec<Option<files::Stamp>>);

impl Stamp {
    /// Reads the metadata of the files of the flags and of `--secret-dir`, for callers that rarely
    /// do so.
    pub(crate) fn of(config: &RepoConfig) -> Self {
        Files::of(config).stamp()
    }
}

/// The files of the flags and of `--secret-dir`, whether they exist or not.
pub(super) struct Files(Vec<PathBuf>);

impl Files {
    /// Collects the paths, which never change.
    pub(super) fn of(config: &RepoConfig) -> Self {
        let access = &config.access;
        let dir = config.secret_dir.iter();
        let mut paths: Vec<PathBuf> = dir
            .flat_map(|dir| secret::all().map(|key| dir.join(key)))
            .collect();
        paths.extend(access.ssh_keys.iter().cloned());
        paths.extend(access.known_hosts.clone());
        paths.extend(access.password_file.clone());
        paths.extend(access.github_app_private_key_file.clone());
        paths.extend(access.cookie_file.then(cookie_file));
        // A bundle is created from them if there are other CAs.
        paths.extend(web::git_ca(config));
        let environment = &config.environment;
        paths.extend(environment.ssl_cert_file.clone());
        paths.extend(environment.ssl_cert_dirs.iter().cloned());
        let has_others = config.secret_dir.is_some()
            || access.ca_bundle.is_some()
            || environment.ssl_cert_file.is_some()
            || !environment.ssl_cert_dirs.is_empty();
        paths.extend(has_others.then(web::system_ca).flatten());
        for credential in &access.credential {
            if let args::Password::File(path) = &credential.password {
                paths.push(path.clone());
            }
        }
        Self(paths)
    }

    /// Reads their metadata, with one `stat` call per file.
    pub(super) fn stamp(&self) -> Stamp {
        let stamps = self.0.iter().map(|path| files::Stamp::of(path));
        Stamp(stamps.collect())
    }
}

/// git-sync's fixed path.
fn cookie_file() -> PathBuf {
    Path::new(paths::SECRET).join(secret::COOKIE_FILE)
}

fn app_of_flags(access: &AccessConfig) -> Result<Option<App>, AuthError> {
    // Go's default values mean unset.
    let application = access.github_app_application_id.filter(|id| *id != 0);
    let client = access.github_app_client_id.clone();
    let issuer = client
        .filter(|id| !id.is_empty())
        .or(application.map(|id| id.to_string()));
    let (Some(issuer), Some(installation)) = (issuer, access.github_app_installation_id) else {
        return Ok(None);
    };
    let key = match (
        &access.github_app_private_key,
        &access.github_app_private_key_file,
    ) {
        (Some(key), _) => key.reveal().to_owned(),
        (None, Some(path)) => fs::read_to_string(path).map_err(|source| AuthError::Read {
            path: path.clone(),
            source,
        })?,
        (None, None) => return Ok(None),
    };
    Ok(Some(App {
        issuer,
        installation,
        key,
        base_url: access.github_base_url.clone(),
    }))
}

fn app_of_secret(dir: &Path, access: &AccessConfig) -> Result<Option<App>, AuthError> {
    let issuer = match text(dir, &[secret::GITHUB_APP_CLIENT_ID])? {
        Some(id) => Some(id),
        None => text(dir, &secret::GITHUB_APP_IDS)?,
    };
    let installation = text(dir, &secret::GITHUB_APP_INSTALLATION_IDS)?;
    let key = text(dir, &secret::GITHUB_APP_PRIVATE_KEYS)?;
    let base_url = match text(dir, &secret::GITHUB_APP_BASE_URLS)? {
        None => access.github_base_url.clone(),
        Some(url) => Url::parse(&url).map_err(|_| AuthError::GithubBaseUrl)?,
    };
    match (issuer, installation, key) {
        (None, None, None) => Ok(None),
        (Some(issuer), Some(installation), Some(key)) => Ok(Some(App {
            issuer,
            installation: installation
                .parse()
                .map_err(|_| AuthError::InstallationId)?,
            key,
            base_url,
        })),
        _ => Err(AuthError::HalfAnApp),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, AuthError> {
    fs::read(path).map_err(|source| AuthError::Read {
        path: path.to_owned(),
        source,
    })
}

/// The first of these keys as text, without trailing white space, which editors add.
fn text(dir: &Path, names: &[&str]) -> Result<Option<String>, AuthError> {
    let path = present(dir, names).next();
    let value = path.map(|path| read(&path)).transpose()?;
    Ok(value.map(|value| String::from_utf8_lossy(&value).trim_end().to_owned()))
}

/// The names of a Secret's keys, without their values; `..data` and similar names are the
/// kubelet's.
pub(super) fn names(dir: &Path) -> Vec<String> {
    let names = files::names_in(dir).unwrap_or_default();
    let names = names.iter().map(|name| name.to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with("..")).collect();
    names.sort();
    names
}

fn present<'a>(dir: &'a Path, names: &'a [&str]) -> impl Iterator<Item = PathBuf> + 'a {
    let paths = names.iter().map(|name| dir.join(name));
    paths.filter(|path| path.is_file())
}
