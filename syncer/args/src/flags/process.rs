use std::path::PathBuf;

use crate::Secret;
use crate::flags::declare::flags;
use crate::flags::flag::Conversion::Dropped;
use crate::flags::flag::Conversion::Implied;
use crate::flags::flag::Conversion::Refused;
use crate::flags::flag::Conversion::Special;
use crate::flags::flag::Flag;
use crate::flags::flag::Source;
use crate::flags::flag_value::FlagValue;
use crate::flags::flag_value::WrongValue;

flags! {
    /// The flags of the process: one value each, regardless of the number of repositories.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ProcessArgs {
        /// A JSON or YAML file that configures several repositories
        ///
        /// {"repos": {NAME: ENTRY, …}}. The keys of an entry are the flag names without dashes; a key
        /// that an entry does not set has the value of the flag. Flags of the whole process
        /// (--add-user, --git, --group-write, --http-…, --max-git-processes, --no-poller,
        /// --push-secret-file, --sync-on-signal, --verbose) are not allowed in an entry.
        #[flag("config", "FILE", Ours, ["GITSYNC_CONFIG"] => Refused("several repositories in one container are not converted"))]
        config: Option<PathBuf>,

        /// The contents of a --config file; environment variable only, because it may contain passwords
        #[flag("config-inline", "TEXT", Ours, ["GITSYNC_CONFIG_INLINE"] => Refused("several repositories in one container are not converted"))]
        config_inline: Option<Secret>,

        /// The git command to run
        ///
        /// A path, or a name to look up in $PATH. Setting it disables native polling.
        #[flag("git", "PROGRAM", GitSync, ["GITSYNC_GIT", "GIT_SYNC_GIT"] => Refused("the injected syncer runs its own git"))]
        git: String = "git".to_owned(),

        /// Disable native polling: run git for every poll
        ///
        /// With native polling the syncer polls over one kept connection and starts no process while
        /// the ref is unchanged. It requires a git configuration that the syncer fully supports; git
        /// does all other work in either case.
        #[flag("no-poller", "BOOL", Ours, ["GITSYNC_NO_POLLER"] => Dropped("no equivalent"))]
        no_poller: bool,

        /// Maximum number of concurrent git commands
        #[flag("max-git-processes", "N", Ours, ["GITSYNC_MAX_GIT_PROCESSES"] => Dropped("no equivalent"))]
        max_git_processes: usize = 8,

        /// Make published files writable by the group
        ///
        /// Directories get mode 0775 and files 0664 instead of 0755 and 0644.
        #[flag("group-write", "BOOL", GitSync, ["GITSYNC_GROUP_WRITE", "GIT_SYNC_GROUP_WRITE"] => Special)]
        group_write: bool,

        /// Add an entry for the current user to /etc/passwd if it has none
        ///
        /// ssh requires such an entry. With the syncer's own image it is not needed. /etc/passwd must
        /// be writable.
        #[flag("add-user", "BOOL", GitSync, ["GITSYNC_ADD_USER", "GIT_SYNC_ADD_USER"] => Implied)]
        add_user: bool,

        /// Sync immediately on this signal: a number, or a name such as SIGHUP or HUP
        ///
        /// A signal that arrives during a sync starts another sync after it.
        #[flag("sync-on-signal", "SIGNAL", GitSync, ["GITSYNC_SYNC_ON_SIGNAL", "GIT_SYNC_SYNC_ON_SIGNAL"] => Special)]
        sync_on_signal: Option<String>,

        /// Listen address of the HTTP server, such as :1234; disabled by default
        ///
        /// See HTTP below for its endpoints.
        #[flag("http-bind", "ADDRESS", GitSync, ["GITSYNC_HTTP_BIND", "GIT_SYNC_HTTP_BIND"] => Special)]
        http_bind: Option<String>,

        /// Serve /metrics
        #[flag("http-metrics", "BOOL", GitSync, ["GITSYNC_HTTP_METRICS", "GIT_SYNC_HTTP_METRICS"] => Implied)]
        http_metrics: bool,

        /// Serve /debug/pprof/, which has no profiles; accepted for compatibility
        #[flag("http-pprof", "BOOL", GitSync, ["GITSYNC_HTTP_PPROF", "GIT_SYNC_HTTP_PPROF"] => Dropped("no equivalent"))]
        http_pprof: bool,

        /// File with the secret of push webhooks, which --http-bind then accepts at POST /push
        ///
        /// A signed delivery of a git host starts a sync of the repositories that it names, at most
        /// one per second. During a rotation the file has two secrets, one per line; it is read again
        /// when it changes. Repositories are still polled every --period.
        #[flag("push-secret-file", "FILE", Ours, ["GITSYNC_PUSH_SECRET_FILE"] => Dropped("no equivalent"))]
        push_secret_file: Option<PathBuf>,

        /// Log level: 0 logs changes, 2 each sync, 5 each command, 6 its output
        #[flag("verbose", "N", GitSync, ["GITSYNC_VERBOSE"] => Dropped("the injected syncer logs at level 0"), always)]
        verbose: u8,
    }
}
