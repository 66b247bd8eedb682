use std::path::PathBuf;

use clap::ArgAction::Set;
use clap::Args;
use clap::ValueEnum;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;

use crate::CaBundle;
use crate::Credential;
use crate::GitDuration;
use crate::KnownHosts;
use crate::Layout;
use crate::Link;
use crate::RepoUrl;
use crate::Revision;
use crate::Secret;
use crate::Subdir;

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
    #[arg(long, value_name = "URL")]
    pub repo: Option<RepoUrl>,

    /// The branch, tag or full commit hash to follow
    #[arg(long = "ref", default_value = "HEAD", value_name = "REF")]
    #[serde(rename = "ref")]
    pub rev: Revision,

    /// The directory to publish in (required)
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// The symlink that names the current tree, absolute or relative to the root; the default is
    /// the last part of the repository's address
    #[arg(long, value_parser = Link::from_flag, value_name = "PATH")]
    pub link: Option<Link>,

    /// How a tree appears under the root
    #[arg(long, value_enum, default_value = "link")]
    pub layout: Layout,

    /// The directory of the repository that appears at the root in place of its top; for the
    /// projected layout alone
    #[arg(long, value_name = "DIR")]
    pub subdir: Option<Subdir>,

    /// A directory outside the root for the syncer's own files; required by the projected layout
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,

    /// A directory whose files are credentials recognised by name, such as ssh, known_hosts,
    /// username, password, token or ca.crt
    #[arg(long, value_name = "DIR")]
    pub secret_dir: Option<PathBuf>,

    /// How many commits of history to fetch; 0 is all
    #[arg(long, default_value = "1", value_name = "N")]
    pub depth: u32,

    /// Which objects to leave out until they are needed, such as blob:none (git fetch --filter)
    #[arg(long, value_name = "SPEC")]
    pub filter: Option<String>,

    /// Which submodules to check out
    #[arg(long, value_enum, default_value = "recursive")]
    pub submodules: Submodules,

    /// A file whose patterns say which files to check out (git sparse-checkout)
    #[arg(long, value_name = "FILE")]
    pub sparse_checkout_file: Option<PathBuf>,

    /// Patterns that say which files to check out, one per line, as that file would hold them
    #[arg(long, value_name = "PATTERNS")]
    pub sparse_checkout: Option<String>,

    /// How long to wait between checks of the remote; at least 10ms
    #[arg(long, default_value = "10s", value_name = "DURATION")]
    pub period: GitDuration,

    /// The period until the first success; the default is that of --period
    #[arg(long, value_name = "DURATION")]
    pub init_period: Option<GitDuration>,

    /// The longest time one pass may take; at least 10ms
    #[arg(long, default_value = "120s", value_name = "DURATION")]
    pub sync_timeout: GitDuration,

    /// Exit after the first success
    #[arg(long, action = Set, default_value = "false", value_name = "BOOL")]
    pub one_time: bool,

    /// How many failures in a row end the program; negative is never
    #[arg(long, default_value = "0", value_name = "N")]
    pub max_failures: i64,

    /// How many failures in a row end the program before the first success; the default is that of
    /// --max-failures
    #[arg(long, value_name = "N")]
    pub init_max_failures: Option<i64>,

    /// How long a tree stays after it is no longer the published one
    #[arg(long, default_value = "0s", value_name = "DURATION")]
    pub stale_worktree_timeout: GitDuration,

    /// How old the last success may be before /readyz says no; 0 is never
    #[arg(long, default_value = "0s", value_name = "DURATION")]
    pub stale_after: GitDuration,

    /// A file that holds the last error, absolute or relative to the root; removed on success
    #[arg(long, value_name = "PATH")]
    pub error_file: Option<PathBuf>,

    /// A file that is touched when a sync has changed something, absolute or relative to the root
    #[arg(long, value_name = "PATH")]
    pub touch_file: Option<PathBuf>,

    /// A program to run in each new tree once it is published; no arguments
    #[arg(long, value_name = "PROGRAM")]
    pub exechook_command: Option<PathBuf>,

    /// How long the exechook may run; at least 1s
    #[arg(long, default_value = "30s", value_name = "DURATION")]
    pub exechook_timeout: GitDuration,

    /// How long to wait after the exechook failed; at least 1s
    #[arg(long, default_value = "3s", value_name = "DURATION")]
    pub exechook_backoff: GitDuration,

    /// A program to run in each new tree when it is about to be published; no arguments
    #[arg(long, value_name = "PROGRAM")]
    pub pre_publish_exechook_command: Option<PathBuf>,

    /// How long the pre-publish exechook may run; at least 1s
    #[arg(long, default_value = "30s", value_name = "DURATION")]
    pub pre_publish_exechook_timeout: GitDuration,

    /// How long to wait after the pre-publish exechook failed; at least 1s
    #[arg(long, default_value = "3s", value_name = "DURATION")]
    pub pre_publish_exechook_backoff: GitDuration,

    /// An address to call once each new tree is published
    #[arg(long, value_name = "URL")]
    pub webhook_url: Option<String>,

    /// The method of the webhook's call
    #[arg(long, default_value = "POST", value_name = "METHOD")]
    pub webhook_method: String,

    /// The status of the webhook's answer that means success; 0 is any
    #[arg(long, default_value = "200", value_name = "STATUS")]
    pub webhook_success_status: i64,

    /// How long the webhook's call may take; at least 1s
    #[arg(long, default_value = "1s", value_name = "DURATION")]
    pub webhook_timeout: GitDuration,

    /// How long to wait after the webhook's call failed; at least 1s
    #[arg(long, default_value = "3s", value_name = "DURATION")]
    pub webhook_backoff: GitDuration,

    /// The user name for http(s) remotes
    #[arg(long, value_name = "NAME")]
    pub username: Option<String>,

    /// The password for http(s) remotes; from the environment alone, as an argv is read by all
    #[arg(long, hide = true, value_name = "SECRET")]
    pub password: Option<Secret>,

    /// A file with the password for http(s) remotes, read at each sync
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,

    /// A credential for one http(s) server in JSON, or a list of them; may be repeated
    #[arg(long, value_name = "JSON")]
    pub credential: Vec<Credential>,

    /// A private key for ssh remotes; may be repeated
    #[arg(long, default_value = "/etc/git-secret/ssh", value_name = "FILE")]
    pub ssh_key_file: Vec<PathBuf>,

    /// Check the host keys of ssh remotes
    #[arg(long, action = Set, default_value = "true", value_name = "BOOL")]
    pub ssh_known_hosts: bool,

    /// The known_hosts file for ssh remotes
    #[arg(
        long,
        default_value = "/etc/git-secret/known_hosts",
        value_name = "FILE"
    )]
    pub ssh_known_hosts_file: PathBuf,

    /// Host keys for ssh remotes that have no known_hosts file, as such a file would hold them; from
    /// the environment alone
    #[arg(long, hide = true, value_name = "TEXT")]
    pub default_known_hosts: Option<KnownHosts>,

    /// Authorities to trust for https beside the system's, PEM; from the environment alone
    #[arg(long, hide = true, value_name = "PEM")]
    pub ca_bundle: Option<CaBundle>,

    /// Use the cookies in /etc/git-secret/cookie_file for http(s) remotes
    #[arg(long, action = Set, default_value = "false", value_name = "BOOL")]
    pub cookie_file: bool,

    /// An address to ask for the user name and the password at each sync
    #[arg(long, value_name = "URL")]
    pub askpass_url: Option<String>,

    /// The address of GitHub's API
    #[arg(long, default_value = "https://api.github.com/", value_name = "URL")]
    pub github_base_url: String,

    /// The client ID of the GitHub App to authenticate as
    #[arg(long, value_name = "ID")]
    pub github_app_client_id: Option<String>,

    /// The application ID of the GitHub App to authenticate as
    #[arg(long, value_name = "ID")]
    pub github_app_application_id: Option<u64>,

    /// The installation ID of the GitHub App
    #[arg(long, value_name = "ID")]
    pub github_app_installation_id: Option<u64>,

    /// The GitHub App's private key, PEM; from the environment alone
    #[arg(long, hide = true, value_name = "SECRET")]
    pub github_app_private_key: Option<Secret>,

    /// A file with the GitHub App's private key
    #[arg(long, value_name = "FILE")]
    pub github_app_private_key_file: Option<PathBuf>,

    /// More of git's configuration: key:value pairs, comma separated
    #[arg(long, value_name = "PAIRS")]
    pub git_config: Option<String>,

    /// More of git's configuration, after that of --git-config; may be repeated
    #[arg(long, value_name = "PAIRS")]
    pub git_config_add: Vec<String>,

    /// What to do about git's garbage after old trees are removed
    #[arg(long, value_enum, default_value = "always")]
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

    /// The entry of `--config` that means these arguments where the flags beside it are `beside`:
    /// only what differs. Passwords are written too; what becomes of the text is the caller's care.
    pub fn to_entry(&self, beside: &Self) -> Map<String, Value> {
        let fields = |args: &Self| match serde_json::to_value(args) {
            Ok(Value::Object(fields)) => fields,
            // A struct of texts and numbers can be nothing else.
            _ => Map::new(),
        };
        let usual = fields(beside);
        fields(self)
            .into_iter()
            .filter(|(key, value)| !value.is_null() && usual.get(key) != Some(value))
            .collect()
    }
}

impl Default for RepoArgs {
    fn default() -> Self {
        Self {
            repo: None,
            rev: Revision::default(),
            root: None,
            link: None,
            layout: Layout::default(),
            subdir: None,
            state: None,
            secret_dir: None,
            depth: 1,
            filter: None,
            submodules: Submodules::default(),
            sparse_checkout_file: None,
            sparse_checkout: None,
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
            default_known_hosts: None,
            ca_bundle: None,
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
