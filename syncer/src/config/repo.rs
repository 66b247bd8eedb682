use std::path;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use args::GarbageCollection;
use args::GitDuration;
use args::Layout;
use args::LfsHosts;
use args::RepoArgs;
use args::RepoKind;
use args::RepoUrl;
use args::Revision;
use args::Submodules;
use args::UserInfo;

use crate::config::AccessConfig;
use crate::config::CacheConfig;
use crate::config::ConfigError;
use crate::config::Environment;
use crate::config::HooksConfig;
use crate::config::LayoutConfig;
use crate::git::config;

/// The shortest valid period (git-sync's own limit).
const SHORTEST_PERIOD: GitDuration = GitDuration::from_millis(10);

const ADDRESS: &str = "https://, http://, ssh://, user@host:path, file:// or an absolute path";

/// The validated settings of one repository.
#[derive(Clone, Debug)]
pub(crate) struct RepoConfig {
    /// The name in a file of several repositories; `None` for the repository of the flags.
    pub(crate) name: Option<String>,
    pub(crate) repo: Repo,
    /// The revision; only a clone accepts one that is not a name.
    pub(crate) rev: Revision,
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
    /// Whether trees may have files in common: no consumer writes to them.
    pub(crate) link_trees: bool,
    pub(crate) init_period: Duration,
    pub(crate) init_max_failures: Option<i64>,
    /// The maximum age of the last success for readiness; zero means no limit.
    pub(crate) stale_after: Duration,
    pub(crate) filter: Option<String>,
    pub(crate) submodules: Submodules,
    pub(crate) sparse: Option<Sparse>,
    /// Whether Git LFS pointers are replaced by their content.
    pub(crate) lfs: bool,
    /// The hosts of such content in addition to the repository's own.
    pub(crate) lfs_allowed_hosts: LfsHosts,
    pub(crate) gc: GarbageCollection,
    /// Absolute, or relative to the root.
    pub(crate) error_file: Option<PathBuf>,
    /// Absolute, or relative to the root.
    pub(crate) touch_file: Option<PathBuf>,
    pub(crate) hooks: HooksConfig,
    pub(crate) access: AccessConfig,
    /// `None` without a cache.
    pub(crate) cache: Option<CacheConfig>,
    /// Keys and values of git's configuration, in their order.
    pub(crate) git_config: Vec<(String, String)>,
    pub(crate) environment: Arc<Environment>,
}

/// The remote repository; user and password are removed from its address.
#[derive(Clone, Debug)]
pub(crate) struct Repo {
    pub(crate) url: String,
    pub(crate) kind: RepoKind,
    /// The user information of the address.
    pub(crate) user: UserInfo,
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

/// The source of the sparse-checkout patterns.
#[derive(Clone, Debug)]
pub(crate) enum Sparse {
    /// A file, which may change.
    File(PathBuf),
    /// The patterns themselves, in the format of such a file.
    Patterns(String),
}

impl RepoConfig {
    /// Checks every value and makes paths absolute.
    pub(crate) fn new(args: RepoArgs, environment: Arc<Environment>) -> Result<Self, ConfigError> {
        let access = AccessConfig::new(&args);
        let hooks = HooksConfig::new(&args);
        // Destructured without `..`, so that an unused flag does not compile.
        let RepoArgs {
            repo,
            rev,
            root,
            link,
            layout,
            subdir,
            state,
            secret_dir,
            depth,
            filter,
            submodules,
            sparse_checkout_file,
            sparse_checkout,
            lfs,
            lfs_allowed_hosts,
            period,
            init_period,
            sync_timeout,
            one_time,
            max_failures,
            init_max_failures,
            stale_worktree_timeout,
            link_trees,
            stale_after,
            error_file,
            touch_file,
            git_config,
            git_config_add,
            git_gc,
            // Read above.
            exechook_command: _,
            exechook_timeout: _,
            exechook_backoff: _,
            pre_publish_exechook_command,
            pre_publish_exechook_timeout: _,
            pre_publish_exechook_backoff: _,
            webhook_url: _,
            webhook_method: _,
            webhook_success_status: _,
            webhook_timeout: _,
            webhook_backoff: _,
            username: _,
            password: _,
            password_file: _,
            credential: _,
            ssh_key_file: _,
            ssh_known_hosts: _,
            ssh_known_hosts_file: _,
            default_known_hosts: _,
            ca_bundle: _,
            cache,
            cache_ca,
            cache_trust,
            cookie_file: _,
            askpass_url: _,
            github_base_url: _,
            github_app_client_id: _,
            github_app_application_id: _,
            github_app_installation_id: _,
            github_app_private_key: _,
            github_app_private_key_file: _,
        } = args;
        let root = root
            .ok_or_else(|| ConfigError::missing("root", "the directory to publish in"))
            .and_then(|root| absolute("root", &root))?;
        let repo = repo.ok_or_else(|| ConfigError::missing("repo", ADDRESS))?;
        let state = state.map(|state| absolute("state", &state)).transpose()?;
        if let Some(state) = state.as_ref().filter(|state| state.starts_with(&root)) {
            let expected = "a directory outside --root";
            return Err(ConfigError::value("state", &state.display(), expected));
        }
        if layout != Layout::Clone {
            rev.to_rev()
                .map_err(|error| ConfigError::new("ref", format!("\"{rev}\": {error}")))?;
        }
        if layout == Layout::Files
            && let Some(command) = &pre_publish_exechook_command
        {
            let expected = "no value with --layout=files, whose files are never complete before they are published";
            return Err(ConfigError::value(
                "pre-publish-exechook-command",
                &command.display(),
                expected,
            ));
        }
        if lfs && layout == Layout::Clone {
            let problem = "expected no value with --layout=clone, which makes a plain clone";
            return Err(ConfigError::new("lfs", problem));
        }
        let cache = CacheConfig::new(cache, cache_ca, cache_trust)?;
        let secret_dir = secret_dir.map(|dir| absolute("secret-dir", &dir));
        let period = at_least_shortest("period", period)?;
        // As in git-sync, zero means no separate initial period.
        let init_period = init_period.filter(|init| *init > GitDuration::default());
        Ok(Self {
            name: None,
            layout: LayoutConfig::new(layout, link, subdir, &repo, &root, state.as_deref())?,
            repo: Repo::new(&repo),
            rev,
            root,
            state,
            secret_dir: secret_dir.transpose()?,
            depth,
            filter,
            submodules,
            sparse: Sparse::of(sparse_checkout_file, sparse_checkout)?,
            lfs,
            lfs_allowed_hosts,
            period,
            init_period: init_period
                .map_or(Ok(period), |init| at_least_shortest("init-period", init))?,
            sync_timeout: at_least_shortest("sync-timeout", sync_timeout)?,
            one_time,
            max_failures,
            init_max_failures,
            stale_worktree_timeout: stale_worktree_timeout.get(),
            link_trees,
            stale_after: stale_after.get(),
            error_file,
            touch_file,
            hooks: hooks?,
            access: access?,
            cache,
            gc: git_gc,
            git_config: git_config_pairs(git_config.as_deref(), &git_config_add)?,
            environment,
        })
    }
}

impl Sparse {
    /// Empty patterns mean none, as for an empty variable.
    fn of(file: Option<PathBuf>, patterns: Option<String>) -> Result<Option<Self>, ConfigError> {
        match (file, patterns.filter(|patterns| !patterns.is_empty())) {
            (Some(_), Some(_)) => {
                let problem = "expected no value together with --sparse-checkout-file";
                Err(ConfigError::new("sparse-checkout", problem))
            }
            (Some(file), None) => Ok(Some(Self::File(file))),
            (None, Some(patterns)) => Ok(Some(Self::Patterns(patterns))),
            (None, None) => Ok(None),
        }
    }
}

impl Repo {
    fn new(repo: &RepoUrl) -> Self {
        Self {
            url: repo.without_user(),
            kind: repo.kind(),
            user: repo.user_info(),
        }
    }
}

/// Parses the additions to git's configuration; they override earlier values, and of a repeated key
/// the last value is used.
fn git_config_pairs(
    given: Option<&str>,
    added: &[String],
) -> Result<Vec<(String, String)>, ConfigError> {
    let read =
        |flag, text| config::parse(text).map_err(|why| ConfigError::new(flag, why.to_string()));
    let mut pairs = read("git-config", given.unwrap_or_default())?;
    pairs.extend(read("git-config-add", &added.join(","))?);
    Ok(pairs)
}

fn absolute(flag: &str, path: &Path) -> Result<PathBuf, ConfigError> {
    path::absolute(path).map_err(|error| {
        ConfigError::new(
            flag,
            format!("cannot determine the working directory: {error}"),
        )
    })
}

fn at_least_shortest(flag: &str, value: GitDuration) -> Result<Duration, ConfigError> {
    if value < SHORTEST_PERIOD {
        let expected = "a duration of at least 10ms, such as 30s or 5m";
        return Err(ConfigError::value(flag, &value, expected));
    }
    Ok(value.get())
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
    fn invalid_values_are_refused_with_one_sentence() {
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
            (
                Box::new(|args| {
                    args.layout = Layout::Clone;
                    args.lfs = true;
                }),
                "--lfs (or GITSYNC_LFS): expected no value with --layout=clone, which makes a plain clone",
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
        let expected = UserInfo::Credentials {
            username: "me".to_owned(),
            password: "a@b".to_owned(),
        };
        assert_eq!(config.repo.user, expected);
        assert!(!format!("{config:?}").contains("a@b"));
    }
}
