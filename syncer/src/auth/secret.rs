use std::fs;
use std::path::Path;
use std::path::PathBuf;

use args::paths;
use args::secret;

use crate::auth::AuthError;
use crate::config::RepoConfig;
use crate::files;
use crate::redact;

/// What a mounted Secret holds at this moment.
#[derive(Debug, Default)]
pub(super) struct Secret {
    /// Private keys in the order in which ssh tries them.
    pub(super) keys: Vec<PathBuf>,
    pub(super) known_hosts: Option<PathBuf>,
    pub(super) ca: Option<Vec<u8>>,
    /// There is a password or a token for http.
    pub(super) has_password: bool,
}

impl Secret {
    /// Looks into the directory of `--secret-dir`; without one, at git-sync's two places for ssh.
    pub(super) fn of(config: &RepoConfig) -> Result<Self, AuthError> {
        let Some(dir) = &config.secret_dir else {
            let dir = Path::new(paths::SECRET);
            return Ok(Self {
                keys: present(dir, &secret::SSH_KEYS[..1]),
                known_hosts: present(dir, &[secret::KNOWN_HOSTS]).pop(),
                ..Self::default()
            });
        };
        let mut has_password = false;
        for name in [secret::PASSWORD, secret::TOKEN] {
            if let Some(value) = read(dir, name)? {
                has_password = true;
                redact::hide(String::from_utf8_lossy(&value).trim_end());
            }
        }
        Ok(Self {
            keys: present(dir, &secret::SSH_KEYS),
            known_hosts: present(dir, &[secret::KNOWN_HOSTS]).pop(),
            ca: read(dir, secret::CA)?,
            has_password,
        })
    }
}

/// Every key that we read.
const KEYS: [&str; 7] = [
    secret::SSH_KEYS[0],
    secret::SSH_KEYS[1],
    secret::KNOWN_HOSTS,
    secret::USERNAME,
    secret::PASSWORD,
    secret::TOKEN,
    secret::CA,
];

/// What tells one content of a mounted Secret from the next, without reading it.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Stamp(Vec<Option<files::Stamp>>);

impl Stamp {
    /// Looks at the files of `--secret-dir`.
    pub(crate) fn of(config: &RepoConfig) -> Self {
        let dir = config.secret_dir.iter();
        let paths = dir.flat_map(|dir| KEYS.map(|key| dir.join(key)));
        Self(paths.map(|path| files::Stamp::of(&path)).collect())
    }
}

/// Reads one key of a Secret, if it has it.
pub(super) fn read(dir: &Path, name: &str) -> Result<Option<Vec<u8>>, AuthError> {
    let path = dir.join(name);
    files::absent_is_none(fs::read(&path)).map_err(|source| AuthError::Read { path, source })
}

fn present(dir: &Path, names: &[&str]) -> Vec<PathBuf> {
    let paths = names.iter().map(|name| dir.join(name));
    paths.filter(|path| path.is_file()).collect()
}
