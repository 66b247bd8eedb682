//! Flags that several commands share.

use std::path::PathBuf;

use clap::Args;
use inject::Settings;

use webhook::settings::SettingsArgs;
use webhook::settings::SettingsError;

/// Which manifests.
#[derive(Args, Clone, Debug)]
pub struct InputArgs {
    /// Manifests in YAML or JSON: a file, - for standard input, or a directory, which is searched
    /// recursively for *.yaml, *.yml and *.json; may be repeated
    #[arg(
        short = 'f',
        long = "filename",
        required = true,
        value_name = "FILE|-|DIR"
    )]
    pub filenames: Vec<PathBuf>,

    /// The namespace of objects that do not set one
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,
}

/// Where the manifests go.
#[derive(Args, Clone, Copy, Debug)]
pub struct OutputArgs {
    /// Edit the files instead of writing to standard output
    #[arg(short, long)]
    pub in_place: bool,

    /// Write nothing; exit with code 1 if something would change
    #[arg(long, conflicts_with = "in_place")]
    pub check: bool,
}

/// Loads the settings; the default image is that of this version.
pub fn settings(args: SettingsArgs) -> Result<Settings, SettingsError> {
    args.load_or(&format!(
        "gitvolume.dev/gitvolume-syncer:{}",
        env!("CARGO_PKG_VERSION")
    ))
}
