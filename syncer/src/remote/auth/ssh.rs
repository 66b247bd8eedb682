use std::borrow::Cow;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use args::RepoKind;
use args::SshAddress;
use args::secret;
use nix::unistd::Uid;

use crate::config::Environment;
use crate::config::RepoConfig;
use crate::observe::logging;
use crate::remote::auth::AuthError;
use crate::remote::auth::SshCredentials;
use crate::remote::auth::config_file::shell_quoted;
use crate::remote::auth::error::write;
use crate::remote::auth::memory::MemoryFiles;
use crate::remote::auth::pasted;
use crate::remote::auth::pasted::KeyProblem;
use crate::remote::auth::secret::Secret;
use crate::remote::auth::secret::names;
use crate::remote::private::KEY;
use crate::remote::private::Private;
use crate::system::files;

/// The paths of the library that gives a user a passwd line, on Debian, Alpine and Red Hat.
const NSS_WRAPPER: [&str; 4] = [
    "/usr/lib/libnss_wrapper.so",
    "/usr/lib/x86_64-linux-gnu/libnss_wrapper.so",
    "/usr/lib/aarch64-linux-gnu/libnss_wrapper.so",
    "/usr/lib64/libnss_wrapper.so",
];

/// The value of `GIT_SSH_COMMAND`.
pub(super) struct SshCommand {
    pub(super) line: String,
    /// Whether the command starts with variables and not with the program.
    pub(super) is_wrapped: bool,
    /// The same settings as values, for polls without ssh.
    pub(super) grant: SshCredentials,
}

/// Builds the ssh command from the Secret and the flags.
///
/// It is also set for http remotes, because their submodules may use ssh.
pub(super) fn command(
    config: &RepoConfig,
    private: &Private,
    secret: &Secret,
    memory: &mut MemoryFiles,
) -> Result<SshCommand, AuthError> {
    let is_checked = config.access.known_hosts.is_some();
    let known_hosts = known_hosts(config, private, secret)?;
    if let Some(dir) = &config.secret_dir
        && config.repo.kind == RepoKind::Ssh
    {
        // Without this check ssh would only print "Host key verification failed", without a remedy.
        if is_checked && known_hosts.is_none() {
            let address = SshAddress::parse(&config.repo.url);
            let command = address.map(|address| address.keyscan_command());
            let command = command.unwrap_or_else(|| "ssh-keyscan HOST".to_owned());
            return Err(AuthError::NoKnownHosts(command));
        }
        if secret.keys.is_empty() {
            return Err(AuthError::NoKey {
                expected: &secret::SSH_KEYS,
                names: names(dir),
            });
        }
    }
    let users = config.environment.ssh_command.as_deref();
    let wrapper = wrapper(config, private)?;
    let mut line = wrapper.clone().unwrap_or_default();
    line.push_str(users.unwrap_or("ssh"));
    // git-sync's thresholds.
    line.push_str(match logging::verbosity() {
        0..5 => "",
        5..7 => " -v",
        7..9 => " -vv",
        9.. => " -vvv",
    });
    let mut option = |name: &str, value: &str| {
        line.push_str(" -o ");
        line.push_str(&shell_quoted(&format!("{name}={value}")));
    };
    option("BatchMode", "yes");
    // A persistent master would outlive the command that started it.
    option("ControlMaster", "no");
    option("ControlPath", "none");
    option("ControlPersist", "no");
    let patience = config.sync_timeout.as_secs().clamp(1, 30);
    option("ConnectTimeout", &patience.to_string());
    if is_checked {
        option("StrictHostKeyChecking", "yes");
        if let Some(known_hosts) = &known_hosts {
            let file = format!("\"{}\"", known_hosts.display());
            option("UserKnownHostsFile", &file);
        }
    } else {
        option("StrictHostKeyChecking", "no");
        // The file is never read, and HOME may be read-only.
        option("UserKnownHostsFile", "/dev/null");
    }
    let identities = identities(config, private, secret, memory)?;
    for file in &identities.files {
        line.push_str(" -i ");
        line.push_str(&shell_quoted(&file.display().to_string()));
    }
    let keys = identities.existing;
    if !keys.is_empty() {
        // ssh would try an agent's keys before these, and servers limit the attempts.
        line.push_str(" -o IdentitiesOnly=yes");
    }
    Ok(SshCommand {
        line,
        is_wrapped: wrapper.is_some(),
        grant: SshCredentials {
            keys,
            known_hosts,
            check: is_checked,
            user_command: users.is_some(),
        },
    })
}

/// The private keys for ssh.
struct Identities {
    /// In the order in which ssh tries them.
    files: Vec<PathBuf>,
    /// Those that exist; ssh itself reports a missing file.
    existing: Vec<PathBuf>,
}

/// Repairs the keys that ssh would refuse. For an ssh remote it is an error if no usable key
/// remains.
fn identities(
    config: &RepoConfig,
    private: &Private,
    secret: &Secret,
    memory: &mut MemoryFiles,
) -> Result<Identities, AuthError> {
    let (mut files, mut existing, mut unusable) = (Vec::new(), Vec::new(), None);
    let mut variables = config.environment.gits.iter();
    // An agent may hold the unlocked key of a file with a passphrase.
    let mut is_any_usable = variables.any(|(name, _)| name == "SSH_AUTH_SOCK");
    for (number, key) in secret.keys.iter().enumerate() {
        if !key.exists() {
            files.push(key.clone());
            continue;
        }
        let file = match usable(key, number, private, memory)? {
            Ok(file) => {
                is_any_usable = true;
                file
            }
            Err(problem) => {
                let path = key.clone();
                let error = AuthError::Key { path, problem };
                tracing::info!(v = 0, reason = %error, "an ssh key cannot be used");
                unusable.get_or_insert(error);
                if problem != KeyProblem::Passphrase {
                    continue;
                }
                key.clone()
            }
        };
        files.push(file.clone());
        existing.push(file);
    }
    match unusable {
        Some(error)
            if !is_any_usable
                && config.environment.ssh_command.is_none()
                && config.repo.kind == RepoKind::Ssh =>
        {
            Err(error)
        }
        _ => Ok(Identities { files, existing }),
    }
}

/// The file of host keys: the Secret's or the flag's, otherwise a file of the default ones.
fn known_hosts(
    config: &RepoConfig,
    private: &Private,
    secret: &Secret,
) -> Result<Option<PathBuf>, AuthError> {
    let access = &config.access;
    let own = match &secret.known_hosts {
        Some(own) => Some(mended(own, config, private)?),
        None => None,
    };
    let default = access.default_known_hosts.as_ref();
    let Some(default) = default.filter(|_| access.known_hosts.is_some()) else {
        return Ok(own);
    };
    if let Some(own) = own.filter(|path| path.is_file()) {
        return Ok(Some(own));
    }
    let path = private.path("known_hosts");
    write(&path, default.as_str().as_bytes(), files::SECRET_MODE)?;
    Ok(Some(path))
}

/// A file of host keys in ssh's format: the original, or a repaired copy.
fn mended(own: &Path, config: &RepoConfig, private: &Private) -> Result<PathBuf, AuthError> {
    let Ok(content) = fs::read(own) else {
        // ssh reports the reason.
        return Ok(own.to_owned());
    };
    match pasted::known_hosts(&content) {
        Some(Cow::Owned(content)) => {
            let path = private.path("known_hosts");
            write(&path, &content, files::SECRET_MODE)?;
            Ok(path)
        }
        None if config.access.known_hosts.is_some() && config.repo.kind == RepoKind::Ssh => {
            Err(AuthError::NoHostKeys(own.to_owned()))
        }
        Some(Cow::Borrowed(_)) | None => Ok(own.to_owned()),
    }
}

/// The variables that give the process's user a passwd line, if the system has none.
///
/// They are set only for ssh, so that git and its helpers run without a preloaded library.
fn wrapper(config: &RepoConfig, private: &Private) -> Result<Option<String>, AuthError> {
    let named = private
        .name_ourselves()
        .map_err(|source| AuthError::Write {
            path: private.path("passwd"),
            source,
        })?;
    let Some((passwd, group)) = named else {
        return Ok(None);
    };
    // Without the library ssh fails, and `git::failure` names what is missing.
    Ok(nss_wrapper(&config.environment).map(|library| {
        let [library, passwd, group] =
            [library, passwd, group].map(|path| shell_quoted(&path.display().to_string()));
        format!("LD_PRELOAD={library} NSS_WRAPPER_PASSWD={passwd} NSS_WRAPPER_GROUP={group} ")
    }))
}

/// The library that gives the process's user a passwd line: the environment's, otherwise the
/// system's.
pub(crate) fn nss_wrapper(environment: &Environment) -> Option<PathBuf> {
    let paths = match &environment.nss_wrapper {
        Some(own) => vec![own.as_path()],
        None => NSS_WRAPPER.map(Path::new).to_vec(),
    };
    let mut paths = paths.into_iter();
    paths.find(|path| path.is_file()).map(Path::to_owned)
}

/// A key file that ssh accepts: ssh refuses a file that other users can read, and a key that was
/// damaged on its way into the Secret. Only those are copied, and only to memory if possible.
fn usable(
    key: &Path,
    number: usize,
    private: &Private,
    memory: &mut MemoryFiles,
) -> Result<Result<PathBuf, KeyProblem>, AuthError> {
    let read = || -> io::Result<_> { Ok((fs::metadata(key)?, fs::read(key)?)) };
    let (metadata, content) = read().map_err(|source| AuthError::Read {
        path: key.to_owned(),
        source,
    })?;
    let is_too_open = metadata.uid() == Uid::current().as_raw() && metadata.mode() & 0o077 != 0;
    let content = match pasted::private_key(&content) {
        Ok(Cow::Borrowed(_)) if !is_too_open => return Ok(Ok(key.to_owned())),
        Ok(content) => content,
        Err(problem) => return Ok(Err(problem)),
    };
    let name = format!("{KEY}{number}");
    memory.put_or_write(&name, &content, private).map(Ok)
}
