//! Command-line flags and their environment variables. No other module reads the environment.

use args::GitDuration;
use clap::Parser;

use crate::server::Listen;
use crate::settings::SettingsArgs;
use crate::tls::TlsArgs;

pub use crate::logging::LogFormat;

/// The command line of `gitvolume-webhook`, the server.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "gitvolume-webhook",
    version,
    about = "The admission webhook of gitvolume: injects git repositories into Pods"
)]
pub struct ServeArgs {
    /// The HTTPS address that the API server calls; port 0 selects a free port, which is logged
    #[arg(
        long,
        env = "GITVOLUME_LISTEN",
        default_value = ":10250",
        value_name = "ADDRESS"
    )]
    pub listen: Listen,

    /// The plain HTTP address of /livez, /readyz and /metrics
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

    /// The webhook's own namespace; required with --tls=cluster; with --tls=files the webhook checks
    /// that the certificate is valid for its Service in this namespace
    #[arg(
        long,
        env = "GITVOLUME_NAMESPACE",
        required_if_eq("tls", "cluster"),
        value_name = "NAME"
    )]
    pub namespace: Option<String>,

    /// Watch Namespaces to learn which of them assign UID ranges (OpenShift); requires permission to
    /// list and watch Namespaces
    #[arg(long, env = "GITVOLUME_WATCH_NAMESPACES")]
    pub watch_namespaces: bool,

    /// Watch GitVolumes, ClusterGitVolumes, the labels of Namespaces, and the
    /// MutatingWebhookConfiguration that --webhook-configuration names; requires permission to list and
    /// watch the first three, to get and watch the last, and to patch the status of GitVolumes and
    /// ClusterGitVolumes
    #[arg(long, env = "GITVOLUME_WATCH_OBJECTS")]
    pub watch_objects: bool,

    /// What is injected.
    #[command(flatten)]
    pub settings: SettingsArgs,

    /// On SIGTERM, become unready but keep serving until no new connection has arrived for this long (at
    /// most four times as long), so that the Service's endpoints can be updated
    #[arg(
        long,
        env = "GITVOLUME_DRAIN_DELAY",
        default_value = "5s",
        value_name = "DURATION"
    )]
    pub drain_delay: GitDuration,

    /// Close a connection after a response once it is this old, plus a random delay of up to the same
    /// length, so that new replicas receive traffic; 0 keeps connections open
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

    /// The format of log lines
    #[arg(long, env = "GITVOLUME_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        ServeArgs::command().debug_assert();
    }

    #[test]
    fn no_environment_variable_is_one_that_kubernetes_sets_for_a_service_named_gitvolume() {
        for argument in ServeArgs::command().get_arguments() {
            let name = argument.get_env().and_then(|name| name.to_str());
            let name = name.unwrap_or_default();
            assert!(!name.starts_with("GITVOLUME_PORT"), "{name}");
            assert!(!name.starts_with("GITVOLUME_SERVICE_"), "{name}");
        }
    }

    #[test]
    fn a_cluster_needs_a_namespace() {
        let parse =
            |args: &[&str]| ServeArgs::try_parse_from([&["gitvolume-webhook"], args].concat());
        let error = parse(&["--tls=cluster"]).unwrap_err().to_string();
        assert!(error.contains("--namespace"), "{error}");
        parse(&["--tls=in-memory"]).unwrap();
        parse(&["--tls=files", "--tls-dir=/tls"]).unwrap();
        let error = parse(&["--tls=files"]).unwrap_err().to_string();
        assert!(error.contains("--tls-dir"), "{error}");
    }
}
