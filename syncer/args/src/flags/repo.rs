use std::path::PathBuf;

use crate::CaBundle;
use crate::CacheTrust;
use crate::Credential;
use crate::GarbageCollection;
use crate::GitDuration;
use crate::KnownHosts;
use crate::Layout;
use crate::LfsHosts;
use crate::Link;
use crate::RepoUrl;
use crate::Revision;
use crate::Secret;
use crate::Subdir;
use crate::Submodules;
use crate::flags::declare::flags;
use crate::flags::flag::Conversion::Dropped;
use crate::flags::flag::Conversion::Implied;
use crate::flags::flag::Conversion::Key;
use crate::flags::flag::Conversion::Refused;
use crate::flags::flag::Conversion::Special;
use crate::flags::flag::Flag;
use crate::flags::flag::Source;
use crate::flags::flag_value::FlagValue;
use crate::flags::flag_value::WrongValue;

/// Default paths of the ssh key and its known_hosts file, as in git-sync.
const SSH_KEY_FILE: &str = "/etc/git-secret/ssh";
const KNOWN_HOSTS_FILE: &str = "/etc/git-secret/known_hosts";

flags! {
    /// The flags of one repository: source, destination, schedule and credentials.
    ///
    /// An entry of `--config` has the same names as keys; a key that is not set has the flag's
    /// default.
    #[derive(Clone, Debug, PartialEq)]
    pub struct RepoArgs {
        /// The git repository to sync (required)
        ///
        /// https://, http://, ssh://, user@host:path, file:// or an absolute path. A user name and a
        /// password in an http(s) address are removed from it and used as credentials; --password-file
        /// is safer.
        #[flag("repo", "URL", GitSync, ["GITSYNC_REPO", "GIT_SYNC_REPO"] => Special, always)]
        repo: Option<RepoUrl>,

        /// The branch, tag or full commit hash to follow, or semver:RANGE
        ///
        /// Abbreviated hashes are not accepted. A full hash is fetched once and never polled.
        /// semver:RANGE follows the highest version tag in a range such as semver:^1.2,
        /// 'semver:>=1.2 <2' or semver:1.x; pre-releases only if the range names one.
        #[flag("ref", "REF", GitSync, ["GITSYNC_REF"] => Special, always)]
        rev: Revision = Revision::default(),

        /// The directory to publish in (required)
        ///
        /// The syncer creates it if it is missing. It does not need to be empty: the syncer never
        /// touches files that it did not create.
        #[flag("root", "DIR", GitSync, ["GITSYNC_ROOT", "GIT_SYNC_ROOT"] => Special, always)]
        root: Option<PathBuf>,

        /// The symlink to the current tree, absolute or relative to the root; defaults to the last
        /// component of the repository address
        ///
        /// The syncer replaces the symlink atomically; the last component of its target is the full
        /// commit hash. Read the files only through this symlink.
        #[flag("link", "PATH", GitSync, ["GITSYNC_LINK", "GIT_SYNC_LINK"] => Special, always)]
        link: Option<Link>,

        /// How the files appear below the root
        ///
        /// link is git-sync's layout: --link points to the tree of the current commit, which has a
        /// working .git. projected is the layout of a ConfigMap volume: the files appear in the root
        /// itself, without .git, and git's own files are in --state. files has real directories and
        /// real files in the directory tree below the root, without symlinks; a new commit replaces
        /// them one by one, and with --one-time a later run keeps them without a request to the remote.
        /// clone is the layout of a gitRepo volume: one full clone without submodules, made once in the
        /// root or in --link below it and never changed again; --ref may be anything that git can check
        /// out.
        #[flag("layout", "LAYOUT", Ours, ["GITSYNC_LAYOUT"] => Refused("only git-sync's own layout is converted"), always)]
        layout: Layout = Layout::Link,

        /// The directory of the repository to publish instead of its top level; projected and files
        /// layouts only
        ///
        /// Requires --layout=projected or --layout=files. If a commit does not have this directory, or a component of its
        /// path is a symlink, the sync fails and the previous commit stays published. Unless
        /// sparse-checkout patterns are set, only this directory is checked out. Hooks run in it.
        #[flag("subdir", "DIR", Ours, ["GITSYNC_SUBDIR"] => Implied, always)]
        subdir: Option<Subdir>,

        /// A directory outside the root for the syncer's own files; required by the projected and
        /// files layouts
        #[flag("state", "DIR", Ours, ["GITSYNC_STATE"] => Implied, always)]
        state: Option<PathBuf>,

        /// A directory of credential files recognised by name: ssh, known_hosts, username, password,
        /// token, ca.crt and others
        #[flag("secret-dir", "DIR", Ours, ["GITSYNC_SECRET_DIR"] => Refused("name its Secret by gitvolume.dev/secret"), always)]
        secret_dir: Option<PathBuf>,

        /// Number of commits of history to fetch; 0 fetches all
        ///
        /// Also applies to submodules. A consumer that compares commits needs more than one.
        #[flag("depth", "N", GitSync, ["GITSYNC_DEPTH", "GIT_SYNC_DEPTH"] => Special, always)]
        depth: u32 = 1,

        /// Time between two polls of the remote; at least 10ms
        #[flag("period", "DURATION", GitSync, ["GITSYNC_PERIOD", "GIT_SYNC_PERIOD"] => Special, always)]
        period: GitDuration = GitDuration::from_secs(10),

        /// Exit after the first successful sync
        #[flag("one-time", "BOOL", GitSync, ["GITSYNC_ONE_TIME", "GIT_SYNC_ONE_TIME"] => Special, always)]
        one_time: bool,

        /// Number of consecutive failures after which the program exits; negative means never
        ///
        /// With 0 or 1 the first failure ends the program.
        #[flag("max-failures", "N", GitSync, ["GITSYNC_MAX_FAILURES", "GIT_SYNC_MAX_FAILURES"] => Special, always)]
        max_failures: i64,

        /// Maximum duration of one sync; at least 10ms
        #[flag("sync-timeout", "DURATION", GitSync, ["GITSYNC_SYNC_TIMEOUT", "GIT_SYNC_SYNC_TIMEOUT"] => Key("timeout"), always)]
        sync_timeout: GitDuration = GitDuration::from_secs(120),

        /// How long a tree is kept after it is no longer published
        ///
        /// Gives consumers time to finish reading the old tree. With 0 the syncer removes it as soon as
        /// the new tree is published.
        #[flag("stale-worktree-timeout", "DURATION", GitSync, ["GITSYNC_STALE_WORKTREE_TIMEOUT"] => Dropped("the operator's choice, 60s by default"), always)]
        stale_worktree_timeout: GitDuration,

        /// Make each new tree of hard links to the unchanged files of the previous one
        ///
        /// A commit then costs what it changes, in time and in disk space. Only for consumers that
        /// cannot write to the files, such as those that mount them read-only: an edit in one tree
        /// would appear in others.
        #[flag("link-trees", "BOOL", Ours, ["GITSYNC_LINK_TREES"] => Implied)]
        link_trees: bool,

        /// Partial clone filter, such as blob:none (git fetch --filter)
        ///
        /// git fetches the filtered objects when it needs them. Submodules are fetched without the
        /// filter.
        #[flag("filter", "SPEC", GitSync, ["GITSYNC_FILTER"] => Key("filter"))]
        filter: Option<String>,

        /// Which submodules to check out
        ///
        /// shallow checks out the repository's own submodules, but not theirs, whatever --depth is.
        #[flag("submodules", "SUBMODULES", GitSync, ["GITSYNC_SUBMODULES", "GIT_SYNC_SUBMODULES"] => Key("submodules"))]
        submodules: Submodules = Submodules::Recursive,

        /// A file with the patterns of the files to check out (git sparse-checkout)
        ///
        /// The syncer reads it at each sync. The patterns have the syntax of .gitignore.
        #[flag("sparse-checkout-file", "FILE", GitSync, ["GITSYNC_SPARSE_CHECKOUT_FILE", "GIT_SYNC_SPARSE_CHECKOUT_FILE"] => Special)]
        sparse_checkout_file: Option<PathBuf>,

        /// Patterns of the files to check out, one per line, as in --sparse-checkout-file
        ///
        /// Cannot be combined with --sparse-checkout-file.
        #[flag("sparse-checkout", "PATTERNS", Ours, ["GITSYNC_SPARSE_CHECKOUT"] => Key("sparse-checkout"))]
        sparse_checkout: Option<String>,

        /// Replace Git LFS pointers by their content, downloaded from the repository's LFS server
        ///
        /// The program git-lfs is not needed. Each revision is published with all of its content or not
        /// at all. Pointers in submodules are replaced from the submodule's own server. Not available with
        /// --layout=clone.
        #[flag("lfs", "BOOL", Ours, ["GITSYNC_LFS"] => Key("lfs"))]
        lfs: bool,

        /// Hosts that Git LFS content may come from in addition to the repository's own, separated by
        /// commas
        ///
        /// HOST, HOST:PORT or *.DOMAIN; without a port, the default port of the scheme. The
        /// repository's credentials are never sent to these hosts.
        #[flag("lfs-allowed-hosts", "HOSTS", Ours, ["GITSYNC_LFS_ALLOWED_HOSTS"] => Dropped("the operator's choice"))]
        lfs_allowed_hosts: LfsHosts = LfsHosts::default(),

        /// Time between two attempts until the first success; defaults to --period
        #[flag("init-period", "DURATION", GitSync, ["GITSYNC_INIT_PERIOD"] => Dropped("the first tries are a period apart"))]
        init_period: Option<GitDuration>,

        /// Number of consecutive failures before the first success after which the program exits;
        /// defaults to --max-failures
        #[flag("init-max-failures", "N", GitSync, ["GITSYNC_INIT_MAX_FAILURES"] => Special)]
        init_max_failures: Option<i64>,

        /// Maximum age of the last successful sync before /readyz fails; 0 disables the check
        #[flag("stale-after", "DURATION", Ours, ["GITSYNC_STALE_AFTER"] => Dropped("no equivalent"))]
        stale_after: GitDuration,

        /// A file for the last error, absolute or relative to the root; removed on success
        ///
        /// JSON with the keys Msg, Err and Args. Errors in the command line, the environment or the
        /// configuration are written as one plain sentence.
        #[flag("error-file", "PATH", GitSync, ["GITSYNC_ERROR_FILE", "GIT_SYNC_ERROR_FILE"] => Refused("no equivalent; the error is in the container's log and in `kubectl describe pod`"))]
        error_file: Option<PathBuf>,

        /// A file to touch when a sync has changed something, absolute or relative to the root
        ///
        /// The syncer also touches it after the first success of each process.
        #[flag("touch-file", "PATH", GitSync, ["GITSYNC_TOUCH_FILE", "GIT_SYNC_TOUCH_FILE"] => Refused("no equivalent; gitvolume.dev/notify calls an address instead"))]
        touch_file: Option<PathBuf>,

        /// A program to run in each new tree after it is published; without arguments
        ///
        /// It runs in the published tree, with the commit in $GITSYNC_HASH and the previous commit in
        /// $GITSYNC_OLD_HASH. The syncer repeats it until it succeeds, and runs it once after each
        /// start, so it must be idempotent. If a newer commit is published while it fails, it runs for
        /// the newer commit only.
        #[flag("exechook-command", "PROGRAM", GitSync, ["GITSYNC_EXECHOOK_COMMAND", "GIT_SYNC_EXECHOOK_COMMAND"] => Refused("no equivalent, since no program of yours is in the injected syncer; gitvolume.dev/notify calls an address instead"))]
        exechook_command: Option<PathBuf>,

        /// Maximum duration of the exechook; at least 1s
        #[flag("exechook-timeout", "DURATION", GitSync, ["GITSYNC_EXECHOOK_TIMEOUT", "GIT_SYNC_EXECHOOK_TIMEOUT"] => Implied)]
        exechook_timeout: GitDuration = GitDuration::from_secs(30),

        /// Time to wait after the exechook failed; at least 1s
        #[flag("exechook-backoff", "DURATION", GitSync, ["GITSYNC_EXECHOOK_BACKOFF", "GIT_SYNC_EXECHOOK_BACKOFF"] => Implied)]
        exechook_backoff: GitDuration = GitDuration::from_secs(3),

        /// A program to run in each new tree when it is about to be published; without arguments
        ///
        /// It runs in the new tree in parallel with the publication: it neither delays nor prevents it.
        #[flag("pre-publish-exechook-command", "PROGRAM", GitSync, ["GITSYNC_PRE_PUBLISH_EXECHOOK_COMMAND"] => Refused("no equivalent"))]
        pre_publish_exechook_command: Option<PathBuf>,

        /// Maximum duration of the pre-publish exechook; at least 1s
        #[flag("pre-publish-exechook-timeout", "DURATION", GitSync, ["GITSYNC_PRE_PUBLISH_EXECHOOK_TIMEOUT"] => Implied)]
        pre_publish_exechook_timeout: GitDuration = GitDuration::from_secs(30),

        /// Time to wait after the pre-publish exechook failed; at least 1s
        #[flag("pre-publish-exechook-backoff", "DURATION", GitSync, ["GITSYNC_PRE_PUBLISH_EXECHOOK_BACKOFF"] => Implied)]
        pre_publish_exechook_backoff: GitDuration = GitDuration::from_secs(3),

        /// A URL to call after each new tree is published
        ///
        /// The request has an empty body and the headers Gitsync-Hash, Gitsync-Old-Hash and
        /// Gitsync-Repo. The syncer repeats it until it succeeds, like the exechook.
        #[flag("webhook-url", "URL", GitSync, ["GITSYNC_WEBHOOK_URL", "GIT_SYNC_WEBHOOK_URL"] => Key("notify"))]
        webhook_url: Option<String>,

        /// HTTP method of the webhook request
        #[flag("webhook-method", "METHOD", GitSync, ["GITSYNC_WEBHOOK_METHOD", "GIT_SYNC_WEBHOOK_METHOD"] => Refused("gitvolume.dev/notify sends a POST"))]
        webhook_method: String = "POST".to_owned(),

        /// HTTP status that means success; 0 accepts any
        #[flag("webhook-success-status", "STATUS", GitSync, ["GITSYNC_WEBHOOK_SUCCESS_STATUS", "GIT_SYNC_WEBHOOK_SUCCESS_STATUS"] => Refused("gitvolume.dev/notify calls until the answer is 200"))]
        webhook_success_status: i64 = 200,

        /// Maximum duration of the webhook request; at least 1s
        #[flag("webhook-timeout", "DURATION", GitSync, ["GITSYNC_WEBHOOK_TIMEOUT", "GIT_SYNC_WEBHOOK_TIMEOUT"] => Dropped("it is 1s"))]
        webhook_timeout: GitDuration = GitDuration::from_secs(1),

        /// Time to wait after the webhook request failed; at least 1s
        #[flag("webhook-backoff", "DURATION", GitSync, ["GITSYNC_WEBHOOK_BACKOFF", "GIT_SYNC_WEBHOOK_BACKOFF"] => Dropped("it is 3s"))]
        webhook_backoff: GitDuration = GitDuration::from_secs(3),

        /// User name for http(s) remotes
        ///
        /// Used together with $GITSYNC_PASSWORD or --password-file.
        #[flag("username", "NAME", GitSync, ["GITSYNC_USERNAME", "GIT_SYNC_USERNAME"] => Special)]
        username: Option<String>,

        /// Password for http(s) remotes; environment variable only, because every user can read a
        /// command line
        #[flag("password", "SECRET", GitSync, ["GITSYNC_PASSWORD", "GIT_SYNC_PASSWORD"] => Special)]
        password: Option<Secret>,

        /// A file with the password for http(s) remotes; the syncer reads it at each sync
        ///
        /// Used together with --username.
        #[flag("password-file", "FILE", GitSync, ["GITSYNC_PASSWORD_FILE", "GIT_SYNC_PASSWORD_FILE"] => Special)]
        password_file: Option<PathBuf>,

        /// Credentials for one http(s) server as a JSON object, or a list of them; may be repeated
        ///
        /// {"url": …, "username": …, "password-file": …}, or "password" instead of the file. The URL
        /// selects the server, for example that of a submodule; the syncer reads the file at each sync.
        /// Credentials of the command line are added to those of the variable.
        #[flag("credential", "JSON", GitSync, ["GITSYNC_CREDENTIAL"] => Special)]
        credential: Vec<Credential>,

        /// A private key for ssh remotes; may be repeated
        ///
        /// In the variable, colons separate several files; the flag replaces the whole variable. ssh
        /// tries the keys in this order.
        #[flag("ssh-key-file", "FILE", GitSync, ["GITSYNC_SSH_KEY_FILE", "GIT_SYNC_SSH_KEY_FILE", "GIT_SSH_KEY_FILE"] => Special)]
        ssh_key_file: Vec<PathBuf> = vec![PathBuf::from(SSH_KEY_FILE)],

        /// Verify the host keys of ssh remotes
        #[flag("ssh-known-hosts", "BOOL", GitSync, ["GITSYNC_SSH_KNOWN_HOSTS", "GIT_SYNC_KNOWN_HOSTS", "GIT_KNOWN_HOSTS"] => Special)]
        ssh_known_hosts: bool = true,

        /// The known_hosts file for ssh remotes
        ///
        /// Required unless --ssh-known-hosts=false; ssh-keyscan HOST prints its lines.
        #[flag("ssh-known-hosts-file", "FILE", GitSync, ["GITSYNC_SSH_KNOWN_HOSTS_FILE", "GIT_SYNC_SSH_KNOWN_HOSTS_FILE", "GIT_SSH_KNOWN_HOSTS_FILE"] => Special)]
        ssh_known_hosts_file: PathBuf = PathBuf::from(KNOWN_HOSTS_FILE),

        /// Host keys for ssh remotes without a known_hosts file, in the format of such a file;
        /// environment variable only
        ///
        /// Has no effect if --secret-dir contains known_hosts, if --ssh-known-hosts-file exists, or
        /// with --ssh-known-hosts=false.
        #[flag("default-known-hosts", "TEXT", Ours, ["GITSYNC_DEFAULT_KNOWN_HOSTS"] => Refused("put its lines into the Secret named by gitvolume.dev/secret, as known_hosts, or into the operator's setting knownHosts"))]
        default_known_hosts: Option<KnownHosts>,

        /// CA certificates to trust for https in addition to the system's, PEM; environment variable
        /// only
        ///
        /// Comments between the certificates are ignored. The file of http.sslCAInfo or of
        /// $GIT_SSL_CAINFO replaces these and the system's.
        #[flag("ca-bundle", "PEM", Ours, ["GITSYNC_CA_BUNDLE"] => Refused("put its certificates into the Secret named by gitvolume.dev/secret, as ca.crt, or into the operator's setting caBundle"))]
        ca_bundle: Option<CaBundle>,

        /// The address of the pull-through cache
        ///
        /// The syncer waits there for new commits instead of polling the git host, and fetches them from
        /// there. It needs an http(s) repository for which polling is on; on any trouble with the cache
        /// the syncer continues without it, and tries it again later.
        #[flag("cache", "URL", Ours, ["GITSYNC_CACHE"] => Refused("the operator configures the cache"))]
        cache: Option<String>,

        /// The CA certificates of the cache, PEM; environment variable only
        ///
        /// They are trusted for the cache alone, and no others are trusted for it. Without this value the
        /// system's are.
        #[flag("cache-ca", "PEM", Ours, ["GITSYNC_CACHE_CA"] => Refused("the operator configures the cache"))]
        cache_ca: Option<CaBundle>,

        /// What the cache is trusted with: content, or full
        ///
        /// content: before it fetches a new commit, the syncer asks the git host itself which commit the
        /// ref names. full: it does as the cache says, and can start while the git host is unreachable;
        /// an attacker who controls the cache then chooses the published files.
        #[flag("cache-trust", "TRUST", Ours, ["GITSYNC_CACHE_TRUST"] => Refused("the operator configures the cache"))]
        cache_trust: CacheTrust = CacheTrust::Content,

        /// The maximum age of an answer with which the syncer starts while the git host is unreachable;
        /// 0 means no limit
        ///
        /// For --cache-trust=full: the cache then says which commit it last knew, and since when. Older
        /// answers count as none, and the first sync waits for the git host.
        #[flag("max-staleness", "DURATION", Ours, ["GITSYNC_MAX_STALENESS"] => Refused("it needs the operator's cache"))]
        max_staleness: GitDuration,

        /// Send the cookies in /etc/git-secret/cookie_file to http(s) remotes
        #[flag("cookie-file", "BOOL", GitSync, ["GITSYNC_COOKIE_FILE", "GIT_SYNC_COOKIE_FILE", "GIT_COOKIE_FILE"] => Special)]
        cookie_file: bool,

        /// A URL that returns the user name and the password at each sync
        ///
        /// It must answer within one second with status 200 and the lines username=… and password=…;
        /// the syncer uses them for --repo only and does not follow redirects.
        #[flag("askpass-url", "URL", GitSync, ["GITSYNC_ASKPASS_URL", "GIT_SYNC_ASKPASS_URL", "GIT_ASKPASS_URL"] => Special)]
        askpass_url: Option<String>,

        /// Base URL of the GitHub API
        #[flag("github-base-url", "URL", GitSync, ["GITSYNC_GITHUB_BASE_URL"] => Special)]
        github_base_url: String = "https://api.github.com/".to_owned(),

        /// Client ID of the GitHub App to authenticate as
        ///
        /// One of the two IDs, --github-app-installation-id and the private key are required. The
        /// syncer renews the token before it expires and uses it for --repo.
        #[flag("github-app-client-id", "ID", GitSync, ["GITSYNC_GITHUB_APP_CLIENT_ID"] => Special)]
        github_app_client_id: Option<String>,

        /// Application ID of the GitHub App to authenticate as
        ///
        /// One of the two IDs, --github-app-installation-id and the private key are required. The
        /// syncer renews the token before it expires and uses it for --repo.
        #[flag("github-app-application-id", "ID", GitSync, ["GITSYNC_GITHUB_APP_APPLICATION_ID"] => Special)]
        github_app_application_id: Option<u64>,

        /// Installation ID of the GitHub App
        #[flag("github-app-installation-id", "ID", GitSync, ["GITSYNC_GITHUB_APP_INSTALLATION_ID"] => Special)]
        github_app_installation_id: Option<u64>,

        /// Private key of the GitHub App, PEM; environment variable only
        #[flag("github-app-private-key", "SECRET", GitSync, ["GITSYNC_GITHUB_APP_PRIVATE_KEY"] => Special)]
        github_app_private_key: Option<Secret>,

        /// A file with the private key of the GitHub App
        #[flag("github-app-private-key-file", "FILE", GitSync, ["GITSYNC_GITHUB_APP_PRIVATE_KEY_FILE"] => Special)]
        github_app_private_key_file: Option<PathBuf>,

        /// Additional git configuration: comma-separated key:value pairs
        ///
        /// Keys and values may be quoted with "; a key that contains a colon and a value that contains
        /// a comma must be. In quotes and in values, \n, \t, \", \, and \\ stand for a newline, a tab
        /// and the character itself.
        #[flag("git-config", "PAIRS", GitSync, ["GITSYNC_GIT_CONFIG", "GIT_SYNC_GIT_CONFIG"] => Special)]
        git_config: Option<String>,

        /// Additional git configuration, applied after --git-config; may be repeated
        #[flag("git-config-add", "PAIRS", GitSync, [] => Special)]
        git_config_add: Vec<String>,

        /// Garbage collection after old trees are removed
        ///
        /// aggressive runs git gc --aggressive, always git gc, auto git gc --auto, off nothing.
        #[flag("git-gc", "GIT_GC", GitSync, ["GITSYNC_GIT_GC", "GIT_SYNC_GIT_GC"] => Dropped("garbage is always collected after a change"))]
        git_gc: GarbageCollection = GarbageCollection::Always,
    }
}

impl RepoArgs {
    /// The arguments for a repository and a root, with defaults for the rest.
    pub fn new(repo: RepoUrl, root: impl Into<PathBuf>) -> Self {
        Self {
            repo: Some(repo),
            root: Some(root.into()),
            ..Self::default()
        }
    }
}
