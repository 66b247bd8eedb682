use std::path::PathBuf;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;

use crate::GitDuration;
use crate::Link;
use crate::RepoUrl;
use crate::Rev;
use crate::paths;

/// The syncer's command line: the sync itself without a subcommand, as git-sync.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "gitvolume-syncer",
    version,
    about = "Keep a directory at a revision of a git repository",
    args_conflicts_with_subcommands = true,
    args_override_self = true
)]
pub struct Cli {
    /// Another task than syncing.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags of the sync.
    #[command(flatten)]
    pub sync: SyncArgs,
}

/// What the syncer's program does besides syncing.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Answer 0 when a whole tree is published, else print why not and answer 1
    Probe(ProbeArgs),
    /// git's credential helper: answers on standard output, for one server only
    #[command(hide = true)]
    Credential(CredentialArgs),
}

/// Flags of git's credential helper; the syncer itself writes them into git's configuration.
#[derive(Args, Clone, Debug)]
pub struct CredentialArgs {
    /// The repository; no other server gets an answer
    #[arg(long, value_name = "URL")]
    pub url: RepoUrl,
    /// Directory of the mounted Secret, with username and password, or token
    #[arg(long, value_name = "DIR", required_unless_present = "file")]
    pub secret_dir: Option<PathBuf>,
    /// A private file with what stood in the repository's address
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// git's verb: get, store or erase
    pub verb: String,
}

/// Flags of `probe`; it shares the container's environment with the sync, not its argv.
#[derive(Args, Clone, Debug)]
pub struct ProbeArgs {
    /// The state directory of the sync that is asked about
    #[arg(long, env = "GITSYNC_STATE", default_value = paths::STATE, value_name = "DIR")]
    pub state: PathBuf,
}

/// How a tree appears under the root (design: Injection 6).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Layout {
    /// git-sync's: one symlink to the tree of the revision, with a working `.git`
    #[default]
    Link,
    /// A ConfigMap volume's: the entries appear at the root itself, switched by `..data`
    Projected,
}

/// Flags of the sync, with git-sync's names, environment names and defaults.
///
/// A flag beats its environment variable, which beats the default. Durations are in Go's notation.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct SyncArgs {
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

    /// How long to wait between checks of the remote; at least 10ms
    #[arg(
        long,
        env = "GITSYNC_PERIOD",
        default_value = "10s",
        value_name = "DURATION"
    )]
    pub period: GitDuration,

    /// Exit after the first success
    #[arg(
        long,
        env = "GITSYNC_ONE_TIME",
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        require_equals = true,
        value_name = "BOOL"
    )]
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

    /// The longest time one pass may take; at least 10ms
    #[arg(
        long,
        env = "GITSYNC_SYNC_TIMEOUT",
        default_value = "120s",
        value_name = "DURATION"
    )]
    pub sync_timeout: GitDuration,

    /// How long a tree stays after it is no longer the published one
    #[arg(
        long,
        env = "GITSYNC_STALE_WORKTREE_TIMEOUT",
        default_value = "0s",
        value_name = "DURATION"
    )]
    pub stale_worktree_timeout: GitDuration,

    /// How much to log: 0 is changes, 2 each pass, 5 each command, 6 its output
    #[arg(
        short,
        long,
        env = "GITSYNC_VERBOSE",
        default_value = "0",
        value_name = "N"
    )]
    pub verbose: u8,

    /// The address of the HTTP server, such as :1234; none by default
    #[arg(long, env = "GITSYNC_HTTP_BIND", value_name = "ADDRESS")]
    pub http_bind: Option<String>,
}

impl SyncArgs {
    /// The arguments for a repository and a root, all else at its default.
    pub fn new(repo: RepoUrl, root: impl Into<PathBuf>) -> Self {
        Self {
            repo: Some(repo),
            rev: Rev::default(),
            root: Some(root.into()),
            link: None,
            layout: Layout::default(),
            state: None,
            secret_dir: None,
            depth: 1,
            period: GitDuration::from_secs(10),
            one_time: false,
            max_failures: 0,
            sync_timeout: GitDuration::from_secs(120),
            stale_worktree_timeout: GitDuration::from_secs(0),
            verbose: 0,
            http_bind: None,
        }
    }

    /// The inverse of parsing: an argv (without the program) that parses to these arguments.
    ///
    /// Every value is written, defaults too, so that an environment variable of the Pod's own
    /// cannot change what was decided. For a container's `args` wrap each in
    /// [`crate::escape_for_kubelet`].
    pub fn to_argv(&self) -> Vec<String> {
        // Taken apart without `..`: a new flag that is not written here does not compile.
        let Self {
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
        } = self;
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let layout = layout
            .to_possible_value()
            .map(|value| value.get_name().to_owned());
        let flags: [(&str, Option<String>); 15] = [
            ("repo", repo.as_ref().map(|repo| repo.reveal().to_owned())),
            ("ref", Some(rev.to_string())),
            ("root", path(root)),
            ("link", link.as_ref().map(Link::to_string)),
            ("layout", layout),
            ("state", path(state)),
            ("secret-dir", path(secret_dir)),
            ("depth", Some(depth.to_string())),
            ("period", Some(period.to_string())),
            ("one-time", Some(one_time.to_string())),
            ("max-failures", Some(max_failures.to_string())),
            ("sync-timeout", Some(sync_timeout.to_string())),
            (
                "stale-worktree-timeout",
                Some(stale_worktree_timeout.to_string()),
            ),
            ("verbose", Some(verbose.to_string())),
            ("http-bind", http_bind.clone()),
        ];
        flags
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| format!("--{name}={value}")))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use proptest::prelude::*;

    fn parse(argv: &[String]) -> SyncArgs {
        let program = std::iter::once("gitvolume-syncer".to_owned());
        Cli::try_parse_from(program.chain(argv.iter().cloned()))
            .unwrap()
            .sync
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_bare_one_time_is_true_and_a_value_needs_an_equals_sign() {
        assert!(parse(&["--one-time".to_owned()]).one_time);
        assert!(!parse(&["--one-time=false".to_owned()]).one_time);
    }

    proptest! {
        #[test]
        fn what_is_written_is_parsed_back(
            rev in "[a-z][a-z0-9/]{0,8}[a-z0-9]",
            projected: bool,
            depth: u32,
            seconds in 0u64..1_000_000,
            one_time: bool,
            max_failures: i64,
            secret: bool,
        ) {
            prop_assume!(rev.parse::<Rev>().is_ok());
            let mut args = SyncArgs::new("https://git.example/$(X).git".parse().unwrap(), "/git");
            args.rev = rev.parse().unwrap();
            args.layout = if projected { Layout::Projected } else { Layout::Link };
            args.depth = depth;
            args.period = GitDuration::from_secs(seconds);
            args.one_time = one_time;
            args.max_failures = max_failures;
            args.secret_dir = secret.then(|| paths::SECRET.into());
            prop_assert_eq!(parse(&args.to_argv()), args);
        }
    }
}
