//! The configuration files of git, curl and ssh, which may change at any time.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use args::RepoKind;
use nix::unistd::Uid;
use nix::unistd::User;

use crate::config::RepoConfig;
use crate::system::files::StampedFiles;

/// git's system configuration.
const GIT_CONFIG: &str = "/etc/gitconfig";

/// The metadata of the configuration files at the time they were checked; a file may be missing.
#[derive(Debug, Default)]
pub(in crate::poll) struct JudgedFiles(StampedFiles);

impl JudgedFiles {
    /// Reads the metadata of all files that concern a repository. Call it before they are read, so
    /// that a change in between is detected.
    pub(in crate::poll) fn of(config: &RepoConfig, git_dir: &Path) -> Self {
        let mut paths = vec![git_dir.join("config"), GIT_CONFIG.into()];
        let in_homes =
            |name: &'static str| homes(config).into_iter().map(move |home| home.join(name));
        match config.repo.kind {
            RepoKind::Http => paths.extend(in_homes(".netrc")),
            RepoKind::Ssh => {
                paths.extend(in_homes(".ssh/config"));
                paths.extend(SSH_KNOWN_HOSTS.map(PathBuf::from));
                paths.extend([SSH_CONFIG, SSH_CONFIG_PARTS].map(PathBuf::from));
                let parts = fs::read_dir(SSH_CONFIG_PARTS).into_iter().flatten();
                paths.extend(parts.flatten().map(|part| part.path()));
            }
            RepoKind::Git | RepoKind::Local => {}
        }
        paths.dedup();
        Self(StampedFiles::of(paths))
    }

    /// Whether a file was written, created or removed since.
    pub(in crate::poll) fn have_changed(&self) -> bool {
        !self.0.are_unchanged()
    }
}

/// ssh's system configuration; the main file is harmless in the form that distributions ship.
pub(crate) const SSH_CONFIG: &str = "/etc/ssh/ssh_config";

pub(crate) const SSH_CONFIG_PARTS: &str = "/etc/ssh/ssh_config.d";

pub(crate) const SSH_KNOWN_HOSTS: [&str; 2] =
    ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"];

/// The home directories of `HOME` and of passwd: ssh uses the latter.
pub(crate) fn homes(config: &RepoConfig) -> Vec<PathBuf> {
    let passwd = User::from_uid(Uid::current()).ok().flatten();
    let named = config.environment.home.as_ref().map(PathBuf::from);
    named
        .into_iter()
        .chain(passwd.map(|user| user.dir))
        .collect()
}
