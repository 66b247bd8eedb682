//! Turns what was typed into what it means.

use std::env;
use std::ffi::OsString;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::path;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use args::GitDuration;
use args::Layout;
use args::RepoKind;
use args::RepoUrl;
use args::Rev;
use args::SyncArgs;
use percent_encoding::percent_decode_str;

/// Periods below this one are surely mistakes (git-sync's own limit).
const SHORTEST_PERIOD: GitDuration = GitDuration::from_millis(10);

/// Says which setting cannot be meant, in one sentence for the person who wrote it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("--{flag} (or {}): required: expected {expected}", env_name(flag))]
    Missing {
        flag: &'static str,
        expected: &'static str,
    },
    #[error("--{flag} (or {}): {value:?}: expected {expected}", env_name(flag))]
    Value {
        flag: &'static str,
        value: String,
        expected: &'static str,
    },
    #[error("cannot tell the working directory")]
    WorkingDirectory(#[source] std::io::Error),
}

/// The environment's name of a flag.
pub(crate) fn env_name(flag: &str) -> String {
    format!("GITSYNC_{}", flag.replace('-', "_").to_uppercase())
}

/// What the syncer does, with every value checked.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) repo: Repo,
    pub(crate) rev: Rev,
    pub(crate) root: PathBuf,
    pub(crate) layout: LayoutConfig,
    pub(crate) state: Option<PathBuf>,
    pub(crate) secret_dir: Option<PathBuf>,
    pub(crate) depth: u32,
    pub(crate) period: Duration,
    pub(crate) one_time: bool,
    pub(crate) max_failures: i64,
    pub(crate) sync_timeout: Duration,
    pub(crate) stale_worktree_timeout: Duration,
    pub(crate) verbose: u8,
    pub(crate) http_bind: Option<SocketAddr>,
    pub(crate) environment: Environment,
}

/// The remote repository, its address free of credentials.
#[derive(Debug)]
pub(crate) struct Repo {
    pub(crate) url: String,
    pub(crate) kind: RepoKind,
    pub(crate) credentials: Option<Credentials>,
}

/// A user name and a password.
#[derive(Clone, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
pub(crate) struct Credentials {
    pub(crate) username: String,
    pub(crate) password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(REDACTED)")
    }
}

/// How the tree appears, with what only that layout has.
#[derive(Debug)]
pub(crate) enum LayoutConfig {
    /// git-sync's: the link, absolute or relative to the root.
    Link { link: PathBuf },
    /// A ConfigMap volume's: where git's own files are.
    Projected { state: PathBuf },
}

/// What we take from the environment besides the flags.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    pub(crate) home: Option<OsString>,
    pub(crate) path: Option<OsString>,
    pub(crate) ssh_command: Option<String>,
    /// Where libnss_wrapper.so is, should it be in none of the usual places.
    pub(crate) nss_wrapper: Option<PathBuf>,
}

impl Environment {
    /// Reads the process's environment: the one place besides clap that does.
    pub(crate) fn of_process() -> Self {
        let mut environment = Self::default();
        for (name, value) in env::vars_os().filter(|(_, value)| !value.is_empty()) {
            match name.to_str() {
                Some("GITVOLUME_NSS_WRAPPER") => environment.nss_wrapper = Some(value.into()),
                Some("GIT_SSH_COMMAND") => environment.ssh_command = value.into_string().ok(),
                Some("HOME") => environment.home = Some(value),
                Some("PATH") => environment.path = Some(value),
                _ => {}
            }
        }
        environment
    }
}

impl Config {
    /// Checks every value and makes paths absolute.
    pub(crate) fn new(args: SyncArgs, environment: Environment) -> Result<Self, ConfigError> {
        // Taken apart without `..`: a flag that nobody uses does not compile.
        let SyncArgs {
            repo,
            rev,
            root,
            link,
            layout,
            state,
            secret_dir,
            depth,
            period,
            one_time,
            max_failures,
            sync_timeout,
            stale_worktree_timeout,
            verbose,
            http_bind,
        } = args;
        let repo = repo.ok_or(ConfigError::Missing {
            flag: "repo",
            expected: "https://, http://, ssh://, user@host:path, file:// or an absolute path",
        })?;
        let root = root.ok_or(ConfigError::Missing {
            flag: "root",
            expected: "the directory to publish in",
        })?;
        let root = absolute(&root)?;
        let state = state.as_deref().map(absolute).transpose()?;
        if let Some(state) = state.as_ref().filter(|state| state.starts_with(&root)) {
            return Err(ConfigError::Value {
                flag: "state",
                value: state.display().to_string(),
                expected: "a directory outside --root",
            });
        }
        let layout = match (layout, &state) {
            (Layout::Projected, None) => {
                return Err(ConfigError::Missing {
                    flag: "state",
                    expected: "a directory outside --root, which --layout=projected needs",
                });
            }
            (Layout::Projected, Some(state)) => match link {
                Some(link) => {
                    return Err(ConfigError::Value {
                        flag: "link",
                        value: link.to_string(),
                        expected: "nothing with --layout=projected, which has no link",
                    });
                }
                None => LayoutConfig::Projected {
                    state: state.clone(),
                },
            },
            (Layout::Link, _) => {
                let link = link.map_or_else(
                    || PathBuf::from(repo.last_component()),
                    |link| link.as_path().to_owned(),
                );
                LayoutConfig::Link { link }
            }
        };
        Ok(Self {
            repo: Repo::new(&repo),
            rev,
            root,
            layout,
            state,
            secret_dir: secret_dir.as_deref().map(absolute).transpose()?,
            depth,
            period: at_least_shortest("period", period)?,
            one_time,
            max_failures,
            sync_timeout: at_least_shortest("sync-timeout", sync_timeout)?,
            stale_worktree_timeout: stale_worktree_timeout.get(),
            verbose,
            http_bind: http_bind.as_deref().map(bind_address).transpose()?,
            environment,
        })
    }
}

impl Repo {
    fn new(repo: &RepoUrl) -> Self {
        let (url, credentials) = repo.split_credentials();
        let credentials = credentials.map(|(username, password)| Credentials {
            username: percent_decoded(&username),
            password: percent_decoded(&password),
        });
        Self {
            url,
            kind: repo.kind(),
            credentials,
        }
    }
}

fn absolute(path: &Path) -> Result<PathBuf, ConfigError> {
    path::absolute(path).map_err(ConfigError::WorkingDirectory)
}

fn at_least_shortest(flag: &'static str, value: GitDuration) -> Result<Duration, ConfigError> {
    if value < SHORTEST_PERIOD {
        return Err(ConfigError::Value {
            flag,
            value: value.to_string(),
            expected: "a duration of at least 10ms, such as 30s or 5m",
        });
    }
    Ok(value.get())
}

/// Reads Go's notation: `:1234` is every address of this machine.
fn bind_address(text: &str) -> Result<SocketAddr, ConfigError> {
    let parsed = match text.strip_prefix(':') {
        Some(port) => port
            .parse()
            .ok()
            .map(|port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))),
        None => text.parse().ok(),
    };
    parsed.ok_or_else(|| ConfigError::Value {
        flag: "http-bind",
        value: text.to_owned(),
        expected: "an address such as :1234 or 127.0.0.1:1234",
    })
}

fn percent_decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(change: impl FnOnce(&mut SyncArgs)) -> Result<Config, String> {
        let mut args = SyncArgs::new("https://git.example/a/site.git".parse().unwrap(), "/git");
        change(&mut args);
        Config::new(args, Environment::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_default_link_is_the_last_part_of_the_address() {
        let LayoutConfig::Link { link } = config(|_| {}).unwrap().layout else {
            panic!("the default layout is link");
        };
        assert_eq!(link, Path::new("site.git"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_in_one_sentence() {
        for (change, sentence) in [
            (
                Box::new(|args: &mut SyncArgs| args.repo = None) as Box<dyn FnOnce(&mut SyncArgs)>,
                "--repo (or GITSYNC_REPO): required: expected https://, http://, ssh://, user@host:path, file:// or an absolute path",
            ),
            (
                Box::new(|args| args.period = GitDuration::from_millis(9)),
                "--period (or GITSYNC_PERIOD): \"9ms\": expected a duration of at least 10ms, such as 30s or 5m",
            ),
            (
                Box::new(|args| args.layout = Layout::Projected),
                "--state (or GITSYNC_STATE): required: expected a directory outside --root, which --layout=projected needs",
            ),
            (
                Box::new(|args| args.state = Some("/git/state".into())),
                "--state (or GITSYNC_STATE): \"/git/state\": expected a directory outside --root",
            ),
            (
                Box::new(|args| args.http_bind = Some("1234".into())),
                "--http-bind (or GITSYNC_HTTP_BIND): \"1234\": expected an address such as :1234 or 127.0.0.1:1234",
            ),
        ] {
            assert_eq!(config(change).unwrap_err(), sentence);
        }
    }

    #[test]
    fn credentials_leave_the_address_decoded() {
        let config =
            config(|args| args.repo = Some("https://me:a%40b@git.example/x".parse().unwrap()))
                .unwrap();
        assert_eq!(config.repo.url, "https://git.example/x");
        let credentials = config.repo.credentials.unwrap();
        assert_eq!(credentials.username, "me");
        assert_eq!(credentials.password, "a@b");
        assert!(!format!("{credentials:?}").contains("a@b"));
    }
}
