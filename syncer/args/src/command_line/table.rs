use crate::command_line::value::Kind;

/// One flag: what it is called on the command line and in the environment.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Flag {
    /// The name after two dashes.
    pub(crate) name: &'static str,
    /// The variable; none where the command line alone has it.
    pub(crate) env: Option<&'static str>,
    /// What the variable was called before, in git-sync's order: of several that are set the last
    /// one wins, and each wins over the present name.
    pub(crate) old_env: &'static [&'static str],
    /// How its text is read.
    pub(crate) kind: Kind,
    /// Who has it.
    pub(crate) source: Source,
}

/// Who has a flag.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    /// git-sync; the behaviour is its.
    GitSync,
    /// This program alone.
    Ours,
}

/// A value that a row may leave out.
macro_rules! optional {
    () => {
        None
    };
    ($value:literal) => {
        Some($value)
    };
}

pub(crate) use optional;

macro_rules! table {
    ($($name:literal $kind:ident $source:ident [$($env:literal $($old:literal)*)?];)*) => {
        &[$(Flag {
            name: $name,
            env: optional!($($env)?),
            old_env: &[$($($old),*)?],
            kind: Kind::$kind,
            source: Source::$source,
        }),*]
    };
}

/// Every flag of a sync, by name. A flag that is no other's is one more row here and one more field
/// of [`crate::RepoArgs`] or [`crate::ProcessArgs`]; tests hold both and the page equal.
#[rustfmt::skip]
pub(crate) const FLAGS: &[Flag] = table! {
    "add-user"                      Bool        GitSync ["GITSYNC_ADD_USER" "GIT_SYNC_ADD_USER"];
    "askpass-url"                   Text        GitSync ["GITSYNC_ASKPASS_URL" "GIT_SYNC_ASKPASS_URL" "GIT_ASKPASS_URL"];
    "ca-bundle"                     Secret      Ours    ["GITSYNC_CA_BUNDLE"];
    "config"                        Path        Ours    ["GITSYNC_CONFIG"];
    "config-inline"                 Secret      Ours    ["GITSYNC_CONFIG_INLINE"];
    "cookie-file"                   Bool        GitSync ["GITSYNC_COOKIE_FILE" "GIT_SYNC_COOKIE_FILE" "GIT_COOKIE_FILE"];
    "credential"                    Credentials GitSync ["GITSYNC_CREDENTIAL"];
    "default-known-hosts"           Secret      Ours    ["GITSYNC_DEFAULT_KNOWN_HOSTS"];
    "depth"                         Int         GitSync ["GITSYNC_DEPTH" "GIT_SYNC_DEPTH"];
    "error-file"                    Path        GitSync ["GITSYNC_ERROR_FILE" "GIT_SYNC_ERROR_FILE"];
    "exechook-backoff"              Duration    GitSync ["GITSYNC_EXECHOOK_BACKOFF" "GIT_SYNC_EXECHOOK_BACKOFF"];
    "exechook-command"              Path        GitSync ["GITSYNC_EXECHOOK_COMMAND" "GIT_SYNC_EXECHOOK_COMMAND"];
    "exechook-timeout"              Duration    GitSync ["GITSYNC_EXECHOOK_TIMEOUT" "GIT_SYNC_EXECHOOK_TIMEOUT"];
    "filter"                        Text        GitSync ["GITSYNC_FILTER"];
    "git"                           Text        GitSync ["GITSYNC_GIT" "GIT_SYNC_GIT"];
    "git-config"                    Text        GitSync ["GITSYNC_GIT_CONFIG" "GIT_SYNC_GIT_CONFIG"];
    "git-config-add"                Texts       GitSync [];
    "git-gc"                        Text        GitSync ["GITSYNC_GIT_GC" "GIT_SYNC_GIT_GC"];
    "github-app-application-id"     Int         GitSync ["GITSYNC_GITHUB_APP_APPLICATION_ID"];
    "github-app-client-id"          Text        GitSync ["GITSYNC_GITHUB_APP_CLIENT_ID"];
    "github-app-installation-id"    Int         GitSync ["GITSYNC_GITHUB_APP_INSTALLATION_ID"];
    "github-app-private-key"        Secret      GitSync ["GITSYNC_GITHUB_APP_PRIVATE_KEY"];
    "github-app-private-key-file"   Path        GitSync ["GITSYNC_GITHUB_APP_PRIVATE_KEY_FILE"];
    "github-base-url"               Text        GitSync ["GITSYNC_GITHUB_BASE_URL"];
    "group-write"                   Bool        GitSync ["GITSYNC_GROUP_WRITE" "GIT_SYNC_GROUP_WRITE"];
    "http-bind"                     Text        GitSync ["GITSYNC_HTTP_BIND" "GIT_SYNC_HTTP_BIND"];
    "http-metrics"                  Bool        GitSync ["GITSYNC_HTTP_METRICS" "GIT_SYNC_HTTP_METRICS"];
    "http-pprof"                    Bool        GitSync ["GITSYNC_HTTP_PPROF" "GIT_SYNC_HTTP_PPROF"];
    "init-max-failures"             Int         GitSync ["GITSYNC_INIT_MAX_FAILURES"];
    "init-period"                   Duration    GitSync ["GITSYNC_INIT_PERIOD"];
    "layout"                        Text        Ours    ["GITSYNC_LAYOUT"];
    "link"                          Text        GitSync ["GITSYNC_LINK" "GIT_SYNC_LINK"];
    "max-failures"                  Int         GitSync ["GITSYNC_MAX_FAILURES" "GIT_SYNC_MAX_FAILURES"];
    "max-git-processes"             Int         Ours    ["GITSYNC_MAX_GIT_PROCESSES"];
    "no-poller"                     Bool        Ours    ["GITSYNC_NO_POLLER"];
    "one-time"                      Bool        GitSync ["GITSYNC_ONE_TIME" "GIT_SYNC_ONE_TIME"];
    "password"                      Secret      GitSync ["GITSYNC_PASSWORD" "GIT_SYNC_PASSWORD"];
    "password-file"                 Path        GitSync ["GITSYNC_PASSWORD_FILE" "GIT_SYNC_PASSWORD_FILE"];
    "period"                        Duration    GitSync ["GITSYNC_PERIOD" "GIT_SYNC_PERIOD"];
    "pre-publish-exechook-backoff"  Duration    GitSync ["GITSYNC_PRE_PUBLISH_EXECHOOK_BACKOFF"];
    "pre-publish-exechook-command"  Path        GitSync ["GITSYNC_PRE_PUBLISH_EXECHOOK_COMMAND"];
    "pre-publish-exechook-timeout"  Duration    GitSync ["GITSYNC_PRE_PUBLISH_EXECHOOK_TIMEOUT"];
    "ref"                           Text        GitSync ["GITSYNC_REF"];
    "repo"                          Text        GitSync ["GITSYNC_REPO" "GIT_SYNC_REPO"];
    "root"                          Path        GitSync ["GITSYNC_ROOT" "GIT_SYNC_ROOT"];
    "secret-dir"                    Path        Ours    ["GITSYNC_SECRET_DIR"];
    "sparse-checkout"               Text        Ours    ["GITSYNC_SPARSE_CHECKOUT"];
    "sparse-checkout-file"          Path        GitSync ["GITSYNC_SPARSE_CHECKOUT_FILE" "GIT_SYNC_SPARSE_CHECKOUT_FILE"];
    "ssh-key-file"                  Paths       GitSync ["GITSYNC_SSH_KEY_FILE" "GIT_SYNC_SSH_KEY_FILE" "GIT_SSH_KEY_FILE"];
    "ssh-known-hosts"               Bool        GitSync ["GITSYNC_SSH_KNOWN_HOSTS" "GIT_SYNC_KNOWN_HOSTS" "GIT_KNOWN_HOSTS"];
    "ssh-known-hosts-file"          Path        GitSync ["GITSYNC_SSH_KNOWN_HOSTS_FILE" "GIT_SYNC_SSH_KNOWN_HOSTS_FILE" "GIT_SSH_KNOWN_HOSTS_FILE"];
    "stale-after"                   Duration    Ours    ["GITSYNC_STALE_AFTER"];
    "stale-worktree-timeout"        Duration    GitSync ["GITSYNC_STALE_WORKTREE_TIMEOUT"];
    "state"                         Path        Ours    ["GITSYNC_STATE"];
    "subdir"                        Path        Ours    ["GITSYNC_SUBDIR"];
    "submodules"                    Text        GitSync ["GITSYNC_SUBMODULES" "GIT_SYNC_SUBMODULES"];
    "sync-on-signal"                Text        GitSync ["GITSYNC_SYNC_ON_SIGNAL" "GIT_SYNC_SYNC_ON_SIGNAL"];
    "sync-timeout"                  Duration    GitSync ["GITSYNC_SYNC_TIMEOUT" "GIT_SYNC_SYNC_TIMEOUT"];
    "touch-file"                    Path        GitSync ["GITSYNC_TOUCH_FILE" "GIT_SYNC_TOUCH_FILE"];
    "username"                      Text        GitSync ["GITSYNC_USERNAME" "GIT_SYNC_USERNAME"];
    "verbose"                       Int         GitSync ["GITSYNC_VERBOSE"];
    "webhook-backoff"               Duration    GitSync ["GITSYNC_WEBHOOK_BACKOFF" "GIT_SYNC_WEBHOOK_BACKOFF"];
    "webhook-method"                Text        GitSync ["GITSYNC_WEBHOOK_METHOD" "GIT_SYNC_WEBHOOK_METHOD"];
    "webhook-success-status"        Int         GitSync ["GITSYNC_WEBHOOK_SUCCESS_STATUS" "GIT_SYNC_WEBHOOK_SUCCESS_STATUS"];
    "webhook-timeout"               Duration    GitSync ["GITSYNC_WEBHOOK_TIMEOUT" "GIT_SYNC_WEBHOOK_TIMEOUT"];
    "webhook-url"                   Text        GitSync ["GITSYNC_WEBHOOK_URL" "GIT_SYNC_WEBHOOK_URL"];
};

/// The row of a flag.
pub(crate) fn find(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}
