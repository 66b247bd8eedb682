//! Flags and their environment names; nothing else reads the environment.

use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use ::args::GitDuration;
use ::args::RepoUrl;
use clap::Args;
use clap::CommandFactory;
use clap::FromArgMatches;
use clap::Parser;
use clap::Subcommand;

use crate::cli;
use crate::cli::Exit;
use crate::cli::completions::CompletionsArgs;
use crate::cli::convert::ConvertArgs;
use crate::cli::diff::DiffArgs;
use crate::cli::doctor::DoctorArgs;
use crate::cli::explain::ExplainArgs;
use crate::cli::help::with_examples;
use crate::cli::inject::InjectArgs;
use crate::cli::man::ManArgs;
use crate::cli::uninject::UninjectArgs;
pub use crate::logging::LogFormat;
use crate::server::Listen;
use crate::settings::SettingsArgs;
use crate::tls::TlsArgs;

/// The command line of `gitvolume`.
#[derive(Clone, Debug, Parser)]
#[command(name = "gitvolume", version, about = "Put git repositories into Pods")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program does.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Answer the API server: the admission webhook
    Serve(Box<ServeArgs>),
    /// Write the injection into manifests, as the webhook would into their Pods
    Inject(InjectArgs),
    /// Write gitRepo volumes and git-sync's containers as annotations
    Convert(ConvertArgs),
    /// Take the injection out of manifests again
    Uninject(UninjectArgs),
    /// Show what inject would change
    Diff(DiffArgs),
    /// Say what the webhook would do about Pods, who said so and why; or what can be said at all
    Explain(ExplainArgs),
    /// Look at a cluster: what is wrong with the installation and its Pods, and what to do
    Doctor(DoctorArgs),
    /// Show everything on this machine, without a cluster
    Demo(DemoArgs),
    /// Write a shell's completions
    Completions(CompletionsArgs),
    /// Write the manual's pages
    Man(ManArgs),
}

/// Flags of `serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Where the API server calls us, over TLS; port 0 takes a free port and logs it
    #[arg(
        long,
        env = "GITVOLUME_LISTEN",
        default_value = ":10250",
        value_name = "ADDRESS"
    )]
    pub listen: Listen,

    /// Where /livez, /readyz and /metrics are, over plain HTTP
    #[arg(
        long,
        env = "GITVOLUME_ADMIN_LISTEN",
        default_value = ":8080",
        value_name = "ADDRESS"
    )]
    pub admin_listen: Listen,

    /// The serving certificate.
    #[command(flatten)]
    pub tls: TlsArgs,

    /// Our namespace; --tls=cluster needs it, and with --tls=files the certificate's name is looked at
    #[arg(
        long,
        env = "GITVOLUME_NAMESPACE",
        required_if_eq("tls", "cluster"),
        value_name = "NAME"
    )]
    pub namespace: Option<String>,

    /// Watch Namespaces for those that hand out ranges of users, as OpenShift's do; needs list and
    /// watch of namespaces
    #[arg(long, env = "GITVOLUME_WATCH_NAMESPACES")]
    pub watch_namespaces: bool,

    /// Watch GitVolumes, ClusterGitVolumes, the labels of Namespaces, and the registration that
    /// --webhook-configuration names; needs list and watch of the first three, get and watch of the
    /// last, and patch of the objects' status
    #[arg(long, env = "GITVOLUME_WATCH_OBJECTS")]
    pub watch_objects: bool,

    /// What is injected.
    #[command(flatten)]
    pub settings: SettingsArgs,

    /// After SIGTERM, serve on, not ready, until nobody has connected for this long, but for no more
    /// than four times as long: by then the endpoints have forgotten us
    #[arg(
        long,
        env = "GITVOLUME_DRAIN_DELAY",
        default_value = "5s",
        value_name = "DURATION"
    )]
    pub drain_delay: GitDuration,

    /// How old a connection may be before an answer closes it, with up to as much again at random, so
    /// that a new replica gets its share; 0 keeps connections for ever
    #[arg(
        long,
        env = "GITVOLUME_MAX_CONNECTION_AGE",
        default_value = "1m",
        value_name = "DURATION"
    )]
    pub max_connection_age: GitDuration,

    /// What to log: a level, or a filter such as info,webhook=debug
    #[arg(
        long,
        env = "GITVOLUME_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    pub log: String,

    /// How log lines are written
    #[arg(long, env = "GITVOLUME_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

/// Flags of `demo`.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// The syncer's program
    #[arg(long, env = "GITVOLUME_DEMO_SYNCER", value_name = "FILE")]
    pub syncer: PathBuf,

    /// The annotated Pod
    #[arg(
        long,
        env = "GITVOLUME_DEMO_EXAMPLE",
        default_value = "examples/web.yaml",
        value_name = "FILE"
    )]
    pub example: PathBuf,

    /// A repository of yours instead of a new one; it is only read
    #[arg(
        long,
        env = "GITVOLUME_DEMO_REPO",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub repo: Option<RepoUrl>,

    /// Set by most CI systems: end by itself, also on a terminal
    #[arg(long, env = "CI", hide = true, default_value = "", value_name = "BOOL")]
    pub ci: String,
}

impl Cli {
    /// Reads an argv, the program's name included; ends the process where it is wrong, or asks for
    /// help. Called `kubectl-gitvolume` it is a plugin of kubectl's, and is used by that name.
    pub fn from_argv(argv: impl IntoIterator<Item = OsString>) -> Self {
        let argv: Vec<OsString> = argv.into_iter().collect();
        let called = argv.first().map(Path::new).and_then(Path::file_stem);
        let mut command = with_examples(Self::command());
        if called.is_some_and(|name| name == "kubectl-gitvolume") {
            command = command.bin_name("kubectl gitvolume");
        }
        let mut matches = command.clone().get_matches_from(&argv);
        let explain = matches.subcommand_matches("explain");
        if explain.is_some_and(|own| own.contains_id("objects")) {
            // Of a cluster the settings are its webhook's, whatever the caller's environment says.
            matches = without_env(command.clone(), "explain").get_matches_from(&argv);
        }
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
    }

    /// Does what was asked for; an error is one sentence on standard error.
    pub fn run(self) -> ExitCode {
        let Self { command } = self;
        let always = |()| ExitCode::SUCCESS;
        let is_server = matches!(command, Command::Serve(_) | Command::Demo(_));
        let (done, failure) = match command {
            Command::Serve(args) => (crate::serve::run(*args).map(always), ExitCode::FAILURE),
            Command::Demo(args) => (crate::demo::run(args).map(always), ExitCode::FAILURE),
            Command::Inject(args) => offline(cli::inject::run(args)),
            Command::Convert(args) => offline(Ok(cli::convert::run(args))),
            Command::Uninject(args) => offline(cli::uninject::run(args)),
            Command::Explain(args) => offline(cli::explain::run(args)),
            Command::Diff(args) => offline(cli::diff::run(args)),
            Command::Doctor(args) => offline(cli::doctor::run(args)),
            Command::Completions(args) => offline(cli::completions::run(&args)),
            Command::Man(args) => offline(cli::man::run(args)),
        };
        done.unwrap_or_else(|error| {
            // A log has lines of many programs, a terminal those of one.
            let start = if is_server { "gitvolume" } else { "error" };
            eprintln!("{start}: {error:#}");
            failure
        })
    }
}

/// The same command line, of which one command takes no value from the environment.
pub(crate) fn without_env(command: clap::Command, name: &str) -> clap::Command {
    command.mut_subcommand(name, |own| own.mut_args(|arg| arg.env(None)))
}

/// How a command ends that needs no cluster.
fn offline(done: anyhow::Result<Exit>) -> (anyhow::Result<ExitCode>, ExitCode) {
    (done.map(ExitCode::from), Exit::Wrong.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_environment_name_is_one_that_kubernetes_sets_for_a_service_called_gitvolume() {
        for command in Cli::command().get_subcommands() {
            for argument in command.get_arguments() {
                let name = argument.get_env().and_then(|name| name.to_str());
                let name = name.unwrap_or_default();
                assert!(!name.starts_with("GITVOLUME_PORT"), "{name}");
                assert!(!name.starts_with("GITVOLUME_SERVICE_"), "{name}");
            }
        }
    }

    #[test]
    fn a_cluster_needs_a_namespace() {
        let parse = |args: &[&str]| Cli::try_parse_from([&["gitvolume", "serve"], args].concat());
        let error = parse(&["--tls=cluster"]).unwrap_err().to_string();
        assert!(error.contains("--namespace"), "{error}");
        parse(&["--tls=in-memory"]).unwrap();
        parse(&["--tls=files", "--tls-dir=/tls"]).unwrap();
        let error = parse(&["--tls=files"]).unwrap_err().to_string();
        assert!(error.contains("--tls-dir"), "{error}");
    }
}
