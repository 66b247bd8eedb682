use std::path::PathBuf;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;
use serde::Deserialize;
use serde::Serialize;

use crate::RepoUrl;
use crate::paths;

mod process;
mod repo;
mod written;

pub use process::ProcessArgs;
pub use repo::GarbageCollection;
pub use repo::RepoArgs;
pub use repo::Submodules;

/// The syncer's command line: the sync itself without a subcommand, as git-sync.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "gitvolume-syncer",
    version,
    about = "Keep a directory at a revision of a git repository",
    args_conflicts_with_subcommands = true,
    args_override_self = true,
    disable_help_subcommand = true
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
    /// git's credential helper: answers on standard output, for known servers only
    #[command(hide = true)]
    Credential(CredentialArgs),
}

/// Flags of git's credential helper; the syncer itself writes them into git's configuration.
#[derive(Args, Clone, Debug)]
pub struct CredentialArgs {
    /// A private file of the syncer's with users, passwords, and the servers they are for
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
    /// git's verb: get, store or erase
    pub verb: String,
}

/// Flags of `probe`; it shares the container's environment with the sync, not its argv.
#[derive(Args, Clone, Debug)]
pub struct ProbeArgs {
    /// The state directory of the sync that is asked about
    #[arg(long, default_value = paths::STATE, value_name = "DIR")]
    pub state: PathBuf,
}

/// How a tree appears under the root (design: Injection 6).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// git-sync's: one symlink to the tree of the revision, with a working `.git`
    #[default]
    Link,
    /// A ConfigMap volume's: the entries appear at the root itself, switched by `..data`
    Projected,
    /// A gitRepo volume's: a real clone with all its history, made once and never touched again
    Clone,
}

/// Flags of the sync, with git-sync's names, environment names and defaults: what is the process's,
/// and what is a repository's.
///
/// A flag beats its environment variable, which beats the default. Durations are in Go's notation.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct SyncArgs {
    /// The flags of the process.
    #[command(flatten)]
    pub process: ProcessArgs,
    /// The flags of the repository.
    #[command(flatten)]
    pub repo: RepoArgs,
}

impl SyncArgs {
    /// The arguments for a repository and a root, all else at its default.
    pub fn new(repo: RepoUrl, root: impl Into<PathBuf>) -> Self {
        Self {
            process: ProcessArgs::default(),
            repo: RepoArgs::new(repo, root),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GitDuration;
    use crate::Rev;
    use clap::CommandFactory;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn parse(argv: &[String]) -> SyncArgs {
        match crate::read(argv.iter().map(Into::into), []).unwrap() {
            crate::Asked::Sync(typed) => typed.sync,
            asked => panic!("{asked:?}"),
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn clap_the_code_and_a_file_have_the_same_defaults() {
        let typed = Cli::try_parse_from(["gitvolume-syncer"]).unwrap().sync;
        assert_eq!(typed.repo, RepoArgs::default());
        assert_eq!(typed.process, ProcessArgs::default());
        assert_eq!(typed.repo, serde_json::from_str("{}").unwrap());
    }

    #[test]
    fn an_entry_of_a_file_has_the_flags_as_its_keys() {
        let serde_json::Value::Object(entry) = serde_json::to_value(RepoArgs::default()).unwrap()
        else {
            panic!("an entry is an object");
        };
        let command = RepoArgs::augment_args(clap::Command::new("entry"));
        let flags: BTreeSet<_> = command
            .get_arguments()
            .filter_map(|arg| arg.get_long())
            .collect();
        assert_eq!(
            entry.keys().map(String::as_str).collect::<BTreeSet<_>>(),
            flags
        );
        let error = serde_json::from_str::<RepoArgs>(r#"{"perriod": "5s"}"#).unwrap_err();
        assert!(
            error.to_string().contains("unknown field `perriod`"),
            "{error}"
        );
        let error = serde_json::from_str::<RepoArgs>(r#"{"period": "5 min"}"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"5 min\": expected a duration such as 30s, 5m or 1h30m at line 1 column 19"
        );
    }

    #[test]
    fn an_entry_is_read_back_with_its_secrets() {
        let entry = r#"{
            "repo": "https://me:secret@git.example/site.git", "ref": "main", "root": "/git",
            "period": "1m", "password": "secret", "one-time": true, "ssh-key-file": ["/a", "/b"],
            "credential": [{"url": "https://a", "username": "me", "password": "secret"}]
        }"#;
        let args: RepoArgs = serde_json::from_str(entry).unwrap();
        assert_eq!(args.password.as_ref().unwrap().reveal(), "secret");
        assert_eq!(args.credential.len(), 1);
        let written = serde_json::to_string(&args).unwrap();
        assert_eq!(serde_json::from_str::<RepoArgs>(&written).unwrap(), args);
    }

    #[test]
    fn an_entry_is_what_differs_from_the_flags_beside_it() {
        let beside = RepoArgs {
            max_failures: -1,
            ..RepoArgs::default()
        };
        let args = RepoArgs {
            repo: Some("https://git.example/site.git".parse().unwrap()),
            period: GitDuration::from_secs(60),
            ..beside.clone()
        };
        let entry = serde_json::Value::Object(args.to_entry(&beside)).to_string();
        assert_eq!(
            entry,
            r#"{"period":"1m","repo":"https://git.example/site.git"}"#
        );
        let mut read: RepoArgs = serde_json::from_str(&entry).unwrap();
        read.max_failures = -1;
        assert_eq!(read, args);
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
            args.repo.rev = rev.parse().unwrap();
            args.repo.layout = if projected { Layout::Projected } else { Layout::Link };
            args.repo.depth = depth;
            args.repo.period = GitDuration::from_secs(seconds);
            args.repo.one_time = one_time;
            args.repo.max_failures = max_failures;
            args.repo.secret_dir = secret.then(|| paths::SECRET.into());
            prop_assert_eq!(parse(&args.to_argv()), args);
        }
    }
}
