//! The command line of the demo.

use std::path::PathBuf;

use args::RepoUrl;
use clap::Parser;

/// Shows the product at work on this machine, without a cluster
#[derive(Clone, Debug, Parser)]
#[command(name = "demo")]
pub(crate) struct DemoArgs {
    /// The syncer's program
    #[arg(long, env = "GITVOLUME_DEMO_SYNCER", value_name = "FILE")]
    pub syncer: PathBuf,

    /// The annotated Pod
    #[arg(
        long,
        env = "GITVOLUME_DEMO_EXAMPLE",
        default_value = "examples/nginx/pod.yaml",
        value_name = "FILE"
    )]
    pub example: PathBuf,

    /// An existing repository instead of a new one; the demo only reads it
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
