//! Every flag of a sync: each is declared once, at its field.

use std::path::PathBuf;
use std::sync::LazyLock;

use clap::Args;
use clap::Parser;
use clap::Subcommand;

use crate::GitDuration;
use crate::RepoUrl;
use crate::paths;

mod cache;
pub(crate) mod choices;
mod declare;
mod entry;
pub(crate) mod flag;
pub(crate) mod flag_value;
pub(crate) mod kind;
mod process;
mod push;
mod repo;
pub(crate) mod to_argv;

pub use cache::CacheArgs;
pub use flag::Conversion;
pub use flag::Flag;
pub use process::ProcessArgs;
pub use push::ParseWakeRuleError;
pub use push::PushArgs;
pub use push::WakeRule;
pub use repo::RepoArgs;

/// Every flag of a sync, by name.
pub(crate) static FLAGS: LazyLock<Vec<&'static Flag>> = LazyLock::new(|| {
    let mut flags: Vec<_> = RepoArgs::FLAGS.iter().chain(ProcessArgs::FLAGS).collect();
    flags.sort_by_key(|flag| flag.name);
    flags
});

/// The flag of this name.
pub(crate) fn find(name: &str) -> Option<&'static Flag> {
    let index = FLAGS.binary_search_by_key(&name, |flag| flag.name);
    index.ok().map(|index| FLAGS[index])
}

/// The syncer's subcommands, and what its help begins with.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "gitvolume-syncer",
    version,
    about = "Keep a directory at a revision of a git repository",
    args_conflicts_with_subcommands = true,
    args_override_self = true,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    /// Another task than syncing.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What the syncer's program does besides syncing.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Answer 0 when a whole tree is published, else print why not and answer 1
    Probe(ProbeArgs),
    /// Receive push webhooks of git hosts and wake the cache; see docs/push.md
    Push(Box<PushArgs>),
    /// Run the pull-through cache: one request to the git host for all syncers of a cluster
    Cache(Box<CacheArgs>),
    /// git's credential helper: answers on standard output, for known servers only
    #[command(hide = true)]
    Credential(CredentialArgs),
    /// ssh for a fetch of git: over the connection of the poll, else with the ssh program
    #[command(hide = true)]
    Ssh(SshArgs),
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

/// Arguments of ssh; git writes them.
#[derive(Args, Clone, Debug)]
pub struct SshArgs {
    /// Options, the server, and the command that runs there
    #[arg(last = true, value_name = "ARG")]
    pub args: Vec<String>,
}

/// Flags of `probe`; it shares the container's environment with the sync, not its argv.
#[derive(Args, Clone, Debug)]
pub struct ProbeArgs {
    /// The state directory of the sync that is asked about
    #[arg(long, default_value = paths::STATE, value_name = "DIR")]
    pub state: PathBuf,
    /// How long to wait while the first clone is running and nothing has failed yet
    ///
    /// The kubelet starts a probe once a second; a probe that waits ends with the clone.
    #[arg(long, default_value = "0s", value_name = "DURATION")]
    pub wait: GitDuration,
}

/// Flags of the sync, with the names, variables and defaults of git-sync: those of the process and
/// those of a repository.
///
/// A flag takes precedence over its variable, and the variable over the default. Durations are in
/// Go's notation.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncArgs {
    /// The flags of the process.
    pub process: ProcessArgs,
    /// The flags of the repository.
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
    use crate::Layout;
    use crate::Rev;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn parse(argv: &[String]) -> SyncArgs {
        match crate::read(argv.iter().map(Into::into), []).unwrap() {
            crate::Action::Sync(typed) => typed.sync,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn no_name_is_declared_twice_and_each_variable_is_spelled_like_its_flag() {
        let mut names = BTreeSet::new();
        for flag in FLAGS.iter() {
            if let Some(env) = flag.variable() {
                let expected = format!("GITSYNC_{}", flag.name.replace('-', "_").to_uppercase());
                assert_eq!(env, expected);
            }
            for name in flag.env.iter().chain([&flag.name]) {
                assert!(names.insert(*name), "{name} stands twice");
            }
            assert_eq!(
                flag.kind == kind::Kind::Bool,
                flag.value == "BOOL",
                "{}",
                flag.name
            );
        }
    }

    fn entry(text: &str, mut args: RepoArgs) -> Result<RepoArgs, (String, String)> {
        let entry: serde_json::Map<_, _> = serde_json::from_str(text).unwrap();
        for (key, value) in &entry {
            assert!(RepoArgs::is_key(key), "{key}");
            args.set_key(key, value)?;
        }
        Ok(args)
    }

    #[test]
    fn an_entry_has_values_of_the_flags_kinds() {
        let expected = |text| entry(text, RepoArgs::default()).unwrap_err();
        let duration = "expected a duration such as 30s, 5m or 1h30m";
        for (text, value, problem) in [
            (r#"{"period": "5 min"}"#, "\"5 min\"", duration),
            (r#"{"period": 5}"#, "5", "expected a text in quotes"),
            (r#"{"depth": "1"}"#, "\"1\"", "expected a whole number"),
            (r#"{"one-time": {"a": 1}}"#, "", "expected true or false"),
            (r#"{"ssh-key-file": "/a"}"#, "\"/a\"", "expected a list"),
        ] {
            assert_eq!(expected(text), (value.to_owned(), problem.to_owned()));
        }
        assert!(!RepoArgs::is_key("perriod") && !RepoArgs::is_key("http-bind"));
        let args = entry(
            r#"{"depth": null, "ssh-key-file": []}"#,
            RepoArgs::default(),
        )
        .unwrap();
        assert_eq!((args.depth, args.ssh_key_file.len()), (1, 0));
    }

    #[test]
    fn an_entry_is_read_back_with_its_secrets() {
        let text = r#"{
            "repo": "https://me:secret@git.example/site.git", "ref": "main", "root": "/git",
            "period": "1m", "password": "secret", "one-time": true, "ssh-key-file": ["/a", "/b"],
            "credential": [{"url": "https://a", "username": "me", "password": "secret"}]
        }"#;
        let args = entry(text, RepoArgs::default()).unwrap();
        assert_eq!(args.password.as_ref().unwrap().reveal(), "secret");
        assert_eq!(args.credential.len(), 1);
        let written = serde_json::Value::Object(args.to_entry(&RepoArgs::default())).to_string();
        assert_eq!(entry(&written, RepoArgs::default()).unwrap(), args);
    }

    #[test]
    fn an_entry_contains_the_differences_from_the_flags_beside_it() {
        let beside = RepoArgs {
            max_failures: -1,
            ..RepoArgs::default()
        };
        let args = RepoArgs {
            repo: Some("https://git.example/site.git".parse().unwrap()),
            period: GitDuration::from_secs(60),
            ..beside.clone()
        };
        let written = serde_json::Value::Object(args.to_entry(&beside)).to_string();
        assert_eq!(
            written,
            r#"{"period":"1m","repo":"https://git.example/site.git"}"#
        );
        assert_eq!(entry(&written, beside).unwrap(), args);
    }

    proptest! {
        #[test]
        fn writing_and_parsing_an_argv_round_trips(
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
