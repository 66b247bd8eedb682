use std::path;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use args::Credential;
use args::GarbageCollection;
use args::GitDuration;
use args::Layout;
use args::RepoArgs;
use args::RepoKind;
use args::RepoUrl;
use args::Rev;
use args::Secret;
use args::Submodules;
use percent_encoding::percent_decode_str;

use crate::auth::git_config;
use crate::config::ConfigError;
use crate::config::Environment;

/// Periods below this one are surely mistakes (git-sync's own limit).
const SHORTEST_PERIOD: GitDuration = GitDuration::from_millis(10);

/// What is done for one repository, with every value checked.
#[derive(Clone, Debug)]
pub(crate) struct RepoConfig {
    /// The name in a configuration of several; the flags' one has none.
    pub(crate) name: Option<String>,
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
    pub(crate) init_period: Duration,
    pub(crate) init_max_failures: Option<i64>,
    /// How old the last success may be before we are no longer ready; zero is any age.
    pub(crate) stale_after: Duration,
    pub(crate) filter: Option<String>,
    pub(crate) submodules: Submodules,
    pub(crate) sparse_checkout_file: Option<PathBuf>,
    pub(crate) gc: GarbageCollection,
    /// Absolute, or relative to the root.
    pub(crate) error_file: Option<PathBuf>,
    /// Absolute, or relative to the root.
    pub(crate) touch_file: Option<PathBuf>,
    pub(crate) hooks: HooksConfig,
    pub(crate) access: AccessConfig,
    /// git's keys and values, in the order in which they were given.
    pub(crate) git_config: Vec<(String, String)>,
    pub(crate) environment: Arc<Environment>,
}

/// The remote repository, its address free of credentials.
#[derive(Clone, Debug)]
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

/// What is told of each new tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct HooksConfig {
    pub(crate) exec: Option<ExecHook>,
    pub(crate) pre_publish: Option<ExecHook>,
    pub(crate) webhook: Option<Webhook>,
}

/// A program that is run in the tree.
#[derive(Clone, Debug)]
pub(crate) struct ExecHook {
    pub(crate) command: PathBuf,
    pub(crate) timeout: Duration,
    pub(crate) backoff: Duration,
}

/// An address that is called.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub(crate) url: String,
    pub(crate) method: String,
    pub(crate) success_status: i64,
    pub(crate) timeout: Duration,
    pub(crate) backoff: Duration,
}

/// By which rights the remote is read, as git-sync's flags say it.
#[derive(Clone, Debug)]
pub(crate) struct AccessConfig {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) credential: Vec<Credential>,
    pub(crate) ssh_keys: Vec<PathBuf>,
    /// None: the host's key is not checked.
    pub(crate) known_hosts: Option<PathBuf>,
    pub(crate) cookie_file: bool,
    pub(crate) askpass_url: Option<String>,
    pub(crate) github_base_url: String,
    pub(crate) github_app_client_id: Option<String>,
    pub(crate) github_app_application_id: Option<u64>,
    pub(crate) github_app_installation_id: Option<u64>,
    pub(crate) github_app_private_key: Option<Secret>,
    pub(crate) github_app_private_key_file: Option<PathBuf>,
}

/// How the tree appears, with what only that layout has.
#[derive(Clone, Debug)]
pub(crate) enum LayoutConfig {
    /// git-sync's: the link, absolute or relative to the root.
    Link { link: PathBuf },
    /// A ConfigMap volume's: where git's own files are.
    Projected { state: PathBuf },
}

impl RepoConfig {
    /// Checks every value and makes paths absolute.
    pub(crate) fn new(args: RepoArgs, environment: Arc<Environment>) -> Result<Self, ConfigError> {
        // Taken apart without `..`: a flag that nobody uses does not compile.
        let RepoArgs {
            repo,
            rev,
            root,
            link,
            layout,
            state,
            secret_dir,
            depth,
            filter,
            submodules,
            sparse_checkout_file,
            period,
            init_period,
            sync_timeout,
            one_time,
            max_failures,
            init_max_failures,
            stale_worktree_timeout,
            stale_after,
            error_file,
            touch_file,
            exechook_command,
            exechook_timeout,
            exechook_backoff,
            pre_publish_exechook_command,
            pre_publish_exechook_timeout,
            pre_publish_exechook_backoff,
            webhook_url,
            webhook_method,
            webhook_success_status,
            webhook_timeout,
            webhook_backoff,
            username,
            password,
            password_file,
            credential,
            ssh_key_file,
            ssh_known_hosts,
            ssh_known_hosts_file,
            cookie_file,
            askpass_url,
            github_base_url,
            github_app_client_id,
            github_app_application_id,
            github_app_installation_id,
            github_app_private_key,
            github_app_private_key_file,
            git_config,
            git_config_add,
            git_gc,
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
                flag: "state".to_owned(),
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
                        flag: "link".to_owned(),
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
        let exec = |prefix, command: Option<PathBuf>, timeout, backoff| {
            let hook = |command| -> Result<ExecHook, ConfigError> {
                Ok(ExecHook {
                    command,
                    timeout: at_least_a_second(&format!("{prefix}-timeout"), timeout)?,
                    backoff: at_least_a_second(&format!("{prefix}-backoff"), backoff)?,
                })
            };
            command.map(hook).transpose()
        };
        let webhook = webhook_url.map(|url| -> Result<Webhook, ConfigError> {
            Ok(Webhook {
                url,
                method: webhook_method,
                success_status: webhook_success_status,
                timeout: at_least_a_second("webhook-timeout", webhook_timeout)?,
                backoff: at_least_a_second("webhook-backoff", webhook_backoff)?,
            })
        });
        let hooks = HooksConfig {
            exec: exec(
                "exechook",
                exechook_command,
                exechook_timeout,
                exechook_backoff,
            )?,
            pre_publish: exec(
                "pre-publish-exechook",
                pre_publish_exechook_command,
                pre_publish_exechook_timeout,
                pre_publish_exechook_backoff,
            )?,
            webhook: webhook.transpose()?,
        };
        let access = AccessConfig {
            username,
            password,
            password_file,
            credential,
            ssh_keys: ssh_key_file,
            known_hosts: ssh_known_hosts.then_some(ssh_known_hosts_file),
            cookie_file,
            askpass_url,
            github_base_url,
            github_app_client_id,
            github_app_application_id,
            github_app_installation_id,
            github_app_private_key,
            github_app_private_key_file,
        };
        let period = at_least_shortest("period", period)?;
        Ok(Self {
            name: None,
            repo: Repo::new(&repo),
            rev,
            root,
            layout,
            state,
            secret_dir: secret_dir.as_deref().map(absolute).transpose()?,
            depth,
            filter,
            submodules,
            sparse_checkout_file,
            period,
            init_period: init_period
                .map_or(Ok(period), |init| at_least_shortest("init-period", init))?,
            sync_timeout: at_least_shortest("sync-timeout", sync_timeout)?,
            one_time,
            max_failures,
            init_max_failures,
            stale_worktree_timeout: stale_worktree_timeout.get(),
            stale_after: stale_after.get(),
            error_file,
            touch_file,
            hooks,
            access,
            gc: git_gc,
            git_config: git_config_pairs(git_config.as_deref(), &git_config_add)?,
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

/// Reads what is to be added to git's configuration; of a key that is given twice, the later value
/// counts, and what is added counts more than what was there.
fn git_config_pairs(
    given: Option<&str>,
    added: &[String],
) -> Result<Vec<(String, String)>, ConfigError> {
    let read =
        |flag, text| git_config::parse(text).map_err(|why| ConfigError::GitConfig { flag, why });
    let mut pairs = read("git-config", given.unwrap_or_default())?;
    pairs.extend(read("git-config-add", &added.join(","))?);
    Ok(pairs)
}

fn absolute(path: &Path) -> Result<PathBuf, ConfigError> {
    path::absolute(path).map_err(ConfigError::WorkingDirectory)
}

fn at_least_shortest(flag: &'static str, value: GitDuration) -> Result<Duration, ConfigError> {
    if value < SHORTEST_PERIOD {
        return Err(ConfigError::Value {
            flag: flag.to_owned(),
            value: value.to_string(),
            expected: "a duration of at least 10ms, such as 30s or 5m",
        });
    }
    Ok(value.get())
}

fn at_least_a_second(flag: &str, value: GitDuration) -> Result<Duration, ConfigError> {
    if value < GitDuration::from_secs(1) {
        return Err(ConfigError::Value {
            flag: flag.to_owned(),
            value: value.to_string(),
            expected: "a duration of at least 1s, such as 30s or 5m",
        });
    }
    Ok(value.get())
}

fn percent_decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(change: impl FnOnce(&mut RepoArgs)) -> Result<RepoConfig, String> {
        let mut args = RepoArgs::new("https://git.example/a/site.git".parse().unwrap(), "/git");
        change(&mut args);
        RepoConfig::new(args, Arc::default()).map_err(|error| error.to_string())
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
                Box::new(|args: &mut RepoArgs| args.repo = None) as Box<dyn FnOnce(&mut RepoArgs)>,
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
