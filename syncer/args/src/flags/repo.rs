use std::path::PathBuf;

use clap::Args;
use clap::ValueEnum;
use serde::Deserialize;
use serde::Serialize;

use crate::Credential;
use crate::GitDuration;
use crate::Layout;
use crate::Link;
use crate::RepoUrl;
use crate::Rev;
use crate::Secret;

/// Which submodules are checked out.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Submodules {
    /// All, with theirs.
    #[default]
    Recursive,
    /// The repository's own, without theirs.
    Shallow,
    /// None.
    Off,
}

/// What is done about git's garbage after old trees are removed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum GarbageCollection {
    /// `git gc --aggressive`.
    Aggressive,
    /// `git gc`.
    #[default]
    Always,
    /// `git gc --auto`: git decides whether there is enough of it.
    Auto,
    /// Nothing.
    Off,
}

/// The flags of one repository: what is synced, where to, when and with which rights.
///
/// In a file that names several repositories this is one entry: the flags' names are its keys, and
/// what is not given has the flag's default.
#[derive(Args, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RepoArgs {
    /// The git repository to sync (required)
    #[arg(long, env = "GITSYNC_REPO", value_name = "URL", hide_env_values = true)]
    pub repo: Option<RepoUrl>,

    /// The branch, tag or full commit hash to follow
    #[arg(
        long = "ref",
        env = "GITSYNC_REF",
        default_value = "HEAD",
        value_name = "REF"
    )]
    #[serde(rename = "ref")]
    pub rev: Rev,

    /// The directory to publish in (required)
    #[arg(long, env = "GITSYNC_ROOT", value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// The symlink that names the current tree, absolute or relative to the root; the default is
    /// the last part of the repository's address
    #[arg(long, env = "GITSYNC_LINK", value_name = "PATH")]
    pub link: Option<Link>,

    /// How a tree appears under the root
    #[arg(long, env = "GITSYNC_LAYOUT", value_enum, default_value = "link")]
    pub layout: Layout,

    /// A directory outside the root for the syncer's own files; required by the projected layout
    #[arg(long, env = "GITSYNC_STATE", value_name = "DIR")]
    pub state: Option<PathBuf>,

    /// A directory whose files are credentials recognised by name: ssh, known_hosts, username,
    /// password, token, ca.crt
    #[arg(long, env = "GITSYNC_SECRET_DIR", value_name = "DIR")]
    pub secret_dir: Option<PathBuf>,

    /// How many commits of history to fetch; 0 is all
    #[arg(long, env = "GITSYNC_DEPTH", default_value = "1", value_name = "N")]
    pub depth: u32,

    /// Which objects to leave out until they are needed, such as blob:none (git fetch --filter)
    #[arg(long, env = "GITSYNC_FILTER", value_name = "SPEC")]
    pub filter: Option<String>,

    /// Which submodules to check out
    #[arg(
        long,
        env = "GITSYNC_SUBMODULES",
        value_enum,
        default_value = "recursive"
    )]
    pub submodules: Submodules,

    /// A file whose patterns say which files to check out (git sparse-checkout)
    #[arg(long, env = "GITSYNC_SPARSE_CHECKOUT_FILE", value_name = "FILE")]
    pub sparse_checkout_file: Option<PathBuf>,

    /// How long to wait between checks of the remote; at least 10ms
    #[arg(
        long,
        env = "GITSYNC_PERIOD",
        default_value = "10s",
        value_name = "DURATION"
    )]
    pub period: GitDuration,

    /// The period until the first success; the default is that of --period
    #[arg(long, env = "GITSYNC_INIT_PERIOD", value_name = "DURATION")]
    pub init_period: Option<GitDuration>,

    /// The longest time one pass may take; at least 10ms
    #[arg(
        long,
        env = "GITSYNC_SYNC_TIMEOUT",
        default_value = "120s",
        value_name = "DURATION"
    )]
    pub sync_timeout: GitDuration,

    /// Exit after the first success
    #[arg(long, env = "GITSYNC_ONE_TIME", num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        require_equals = true,
        value_name = "BOOL")]
    pub one_time: bool,

    /// How many failures in a row end the program; negative is never
    #[arg(
        long,
        env = "GITSYNC_MAX_FAILURES",
        default_value = "0",
        allow_negative_numbers = true,
        value_name = "N"
    )]
    pub max_failures: i64,

    /// The same until the first success; the default is that of --max-failures
    #[arg(
        long,
        env = "GITSYNC_INIT_MAX_FAILURES",
        allow_negative_numbers = true,
        value_name = "N"
    )]
    pub init_max_failures: Option<i64>,

    /// How long a tree stays after it is no longer the published one
    #[arg(
        long,
        env = "GITSYNC_STALE_WORKTREE_TIMEOUT",
        default_value = "0s",
        value_name = "DURATION"
    )]
    pub stale_worktree_timeout: GitDuration,

    /// How old the last success may be before /readyz says no; 0 is never
    #[arg(
        long,
        env = "GITSYNC_STALE_AFTER",
        default_value = "0s",
        value_name = "DURATION"
    )]
    pub stale_after: GitDuration,

    /// A file that holds the last error, absolute or relative to the root; removed on success
    #[arg(long, env = "GITSYNC_ERROR_FILE", value_name = "PATH")]
    pub error_file: Option<PathBuf>,

    /// A file that is touched when a sync has changed something, absolute or relative to the root
    #[arg(long, env = "GITSYNC_TOUCH_FILE", value_name = "PATH")]
    pub touch_file: Option<PathBuf>,

    /// A program to run in each new tree once it is published; no arguments
    #[arg(long, env = "GITSYNC_EXECHOOK_COMMAND", value_name = "PROGRAM")]
    pub exechook_command: Option<PathBuf>,

    /// How long that program may run; at least 1s
    #[arg(
        long,
        env = "GITSYNC_EXECHOOK_TIMEOUT",
        default_value = "30s",
        value_name = "DURATION"
    )]
    pub exechook_timeout: GitDuration,

    /// How long to wait after it failed; at least 1s
    #[arg(
        long,
        env = "GITSYNC_EXECHOOK_BACKOFF",
        default_value = "3s",
        value_name = "DURATION"
    )]
    pub exechook_backoff: GitDuration,

    /// A program to run in each new tree when it is about to be published; no arguments
    #[arg(
        long,
        env = "GITSYNC_PRE_PUBLISH_EXECHOOK_COMMAND",
        value_name = "PROGRAM"
    )]
    pub pre_publish_exechook_command: Option<PathBuf>,

    /// How long that program may run; at least 1s
    #[arg(
        long,
        env = "GITSYNC_PRE_PUBLISH_EXECHOOK_TIMEOUT",
        default_value = "30s",
        value_name = "DURATION"
    )]
    pub pre_publish_exechook_timeout: GitDuration,

    /// How long to wait after it failed; at least 1s
    #[arg(
        long,
        env = "GITSYNC_PRE_PUBLISH_EXECHOOK_BACKOFF",
        default_value = "3s",
        value_name = "DURATION"
    )]
    pub pre_publish_exechook_backoff: GitDuration,

    /// An address to call once each new tree is published
    #[arg(long, env = "GITSYNC_WEBHOOK_URL", value_name = "URL")]
    pub webhook_url: Option<String>,

    /// The method of that call
    #[arg(
        long,
        env = "GITSYNC_WEBHOOK_METHOD",
        default_value = "POST",
        value_name = "METHOD"
    )]
    pub webhook_method: String,

    /// The status that means success; 0 or -1 is any, without waiting for it
    #[arg(
        long,
        env = "GITSYNC_WEBHOOK_SUCCESS_STATUS",
        default_value = "200",
        allow_negative_numbers = true,
        value_name = "STATUS"
    )]
    pub webhook_success_status: i64,

    /// How long that call may take; at least 1s
    #[arg(
        long,
        env = "GITSYNC_WEBHOOK_TIMEOUT",
        default_value = "1s",
        value_name = "DURATION"
    )]
    pub webhook_timeout: GitDuration,

    /// How long to wait after it failed; at least 1s
    #[arg(
        long,
        env = "GITSYNC_WEBHOOK_BACKOFF",
        default_value = "3s",
        value_name = "DURATION"
    )]
    pub webhook_backoff: GitDuration,

    /// The user name for http(s) remotes
    #[arg(long, env = "GITSYNC_USERNAME", value_name = "NAME")]
    pub username: Option<String>,

    /// The password for http(s) remotes; from the environment alone, as an argv is read by all
    #[arg(
        long = "__env__GITSYNC_PASSWORD",
        env = "GITSYNC_PASSWORD",
        hide = true,
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub password: Option<Secret>,

    /// A file with the password for http(s) remotes, read at each sync
    #[arg(long, env = "GITSYNC_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,

    /// JSON, one or a list of {url, username, password or password-file}; may be repeated
    #[arg(
        long,
        env = "GITSYNC_CREDENTIAL",
        value_name = "JSON",
        hide_env_values = true
    )]
    pub credential: Vec<Credential>,

    /// A private key for ssh remotes; may be repeated
    #[arg(
        long,
        env = "GITSYNC_SSH_KEY_FILE",
        value_delimiter = ':',
        default_value = "/etc/git-secret/ssh",
        value_name = "FILE"
    )]
    pub ssh_key_file: Vec<PathBuf>,

    /// Check the host keys of ssh remotes
    #[arg(long, env = "GITSYNC_SSH_KNOWN_HOSTS", num_args = 0..=1,
        default_value = "true",
        default_missing_value = "true",
        require_equals = true,
        value_name = "BOOL")]
    pub ssh_known_hosts: bool,

    /// The known_hosts file for ssh remotes
    #[arg(
        long,
        env = "GITSYNC_SSH_KNOWN_HOSTS_FILE",
        default_value = "/etc/git-secret/known_hosts",
        value_name = "FILE"
    )]
    pub ssh_known_hosts_file: PathBuf,

    /// Use the cookies in /etc/git-secret/cookie_file for http(s) remotes
    #[arg(long, env = "GITSYNC_COOKIE_FILE", num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        require_equals = true,
        value_name = "BOOL")]
    pub cookie_file: bool,

    /// An address to ask for the user name and the password at each sync
    #[arg(long, env = "GITSYNC_ASKPASS_URL", value_name = "URL")]
    pub askpass_url: Option<String>,

    /// The address of GitHub's API
    #[arg(
        long,
        env = "GITSYNC_GITHUB_BASE_URL",
        default_value = "https://api.github.com/",
        value_name = "URL"
    )]
    pub github_base_url: String,

    /// The client ID of the GitHub App to authenticate as
    #[arg(long, env = "GITSYNC_GITHUB_APP_CLIENT_ID", value_name = "ID")]
    pub github_app_client_id: Option<String>,

    /// The application ID of the GitHub App to authenticate as
    #[arg(long, env = "GITSYNC_GITHUB_APP_APPLICATION_ID", value_name = "ID")]
    pub github_app_application_id: Option<u64>,

    /// The installation ID of the GitHub App
    #[arg(long, env = "GITSYNC_GITHUB_APP_INSTALLATION_ID", value_name = "ID")]
    pub github_app_installation_id: Option<u64>,

    /// The GitHub App's private key, PEM; from the environment alone
    #[arg(
        long = "__env__GITSYNC_GITHUB_APP_PRIVATE_KEY",
        env = "GITSYNC_GITHUB_APP_PRIVATE_KEY",
        hide = true,
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub github_app_private_key: Option<Secret>,

    /// A file with the GitHub App's private key
    #[arg(long, env = "GITSYNC_GITHUB_APP_PRIVATE_KEY_FILE", value_name = "FILE")]
    pub github_app_private_key_file: Option<PathBuf>,

    /// More of git's configuration: key:value pairs, comma separated
    #[arg(long, env = "GITSYNC_GIT_CONFIG", value_name = "PAIRS")]
    pub git_config: Option<String>,

    /// Further such pairs; may be repeated
    #[arg(long, value_name = "PAIRS")]
    pub git_config_add: Vec<String>,

    /// What to do about git's garbage after old trees are removed
    #[arg(long, env = "GITSYNC_GIT_GC", value_enum, default_value = "always")]
    pub git_gc: GarbageCollection,
}

impl RepoArgs {
    /// The arguments for a repository and a root, all else at its default.
    pub fn new(repo: RepoUrl, root: impl Into<PathBuf>) -> Self {
        Self {
            repo: Some(repo),
            root: Some(root.into()),
            ..Self::default()
        }
    }
}

impl Default for RepoArgs {
    fn default() -> Self {
        Self {
            repo: None,
            rev: Rev::default(),
            root: None,
            link: None,
            layout: Layout::default(),
            state: None,
            secret_dir: None,
            depth: 1,
            filter: None,
            submodules: Submodules::default(),
            sparse_checkout_file: None,
            period: GitDuration::from_secs(10),
            init_period: None,
            sync_timeout: GitDuration::from_secs(120),
            one_time: false,
            max_failures: 0,
            init_max_failures: None,
            stale_worktree_timeout: GitDuration::from_secs(0),
            stale_after: GitDuration::from_secs(0),
            error_file: None,
            touch_file: None,
            exechook_command: None,
            exechook_timeout: GitDuration::from_secs(30),
            exechook_backoff: GitDuration::from_secs(3),
            pre_publish_exechook_command: None,
            pre_publish_exechook_timeout: GitDuration::from_secs(30),
            pre_publish_exechook_backoff: GitDuration::from_secs(3),
            webhook_url: None,
            webhook_method: "POST".to_owned(),
            webhook_success_status: 200,
            webhook_timeout: GitDuration::from_secs(1),
            webhook_backoff: GitDuration::from_secs(3),
            username: None,
            password: None,
            password_file: None,
            credential: Vec::new(),
            ssh_key_file: vec!["/etc/git-secret/ssh".into()],
            ssh_known_hosts: true,
            ssh_known_hosts_file: "/etc/git-secret/known_hosts".into(),
            cookie_file: false,
            askpass_url: None,
            github_base_url: "https://api.github.com/".to_owned(),
            github_app_client_id: None,
            github_app_application_id: None,
            github_app_installation_id: None,
            github_app_private_key: None,
            github_app_private_key_file: None,
            git_config: None,
            git_config_add: Vec::new(),
            git_gc: GarbageCollection::default(),
        }
    }
}
