use std::num::ParseIntError;
use std::path::PathBuf;

use clap::ArgAction::Set;
use clap::Args;

use crate::Secret;

/// The flags of the process: one value each, however many repositories it syncs.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct ProcessArgs {
    /// A file that names several repositories, JSON or YAML
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The text of a file such as --config names; from the environment alone, as it may hold passwords
    #[arg(long, hide = true, value_name = "TEXT")]
    pub config_inline: Option<Secret>,

    /// The git command to run
    #[arg(long, default_value = "git", value_name = "PROGRAM")]
    pub git: String,

    /// Ask the remote by git alone, never by the syncer's own cheap question
    #[arg(long, action = Set, default_value = "false", value_name = "BOOL")]
    pub no_poller: bool,

    /// How many git commands may run at once
    #[arg(long, default_value = "8", value_name = "N")]
    pub max_git_processes: usize,

    /// Let the group write what is published
    #[arg(long, action = Set, default_value = "false", value_name = "BOOL")]
    pub group_write: bool,

    /// Add a line for our user to /etc/passwd, where it has none
    #[arg(long, action = Set, default_value = "false", value_name = "BOOL")]
    pub add_user: bool,

    /// Sync at once when this signal comes: a number, or a name such as SIGHUP or HUP
    #[arg(long, value_name = "SIGNAL")]
    pub sync_on_signal: Option<String>,

    /// The address of the HTTP server, such as :1234; none by default
    #[arg(long, value_name = "ADDRESS")]
    pub http_bind: Option<String>,

    /// Serve /metrics
    #[arg(long, action = Set, default_value = "false", value_name = "BOOL")]
    pub http_metrics: bool,

    /// Serve /debug/pprof/
    #[arg(long, action = Set, default_value = "false", value_name = "BOOL")]
    pub http_pprof: bool,

    /// How much to log: 0 is changes, 2 each pass, 5 each command, 6 its output
    #[arg(
        short,
        long,
        value_parser = verbosity,
        default_value = "0",
        value_name = "N"
    )]
    pub verbose: u8,
}

/// Reads a level; beyond the last one there is no more to say, and below the first no less.
fn verbosity(text: &str) -> Result<u8, ParseIntError> {
    let level: i64 = text.parse()?;
    Ok(u8::try_from(level.max(0)).unwrap_or(u8::MAX))
}

impl Default for ProcessArgs {
    fn default() -> Self {
        Self {
            config: None,
            config_inline: None,
            git: "git".to_owned(),
            no_poller: false,
            max_git_processes: 8,
            group_write: false,
            add_user: false,
            sync_on_signal: None,
            http_bind: None,
            http_metrics: false,
            http_pprof: false,
            verbose: 0,
        }
    }
}
