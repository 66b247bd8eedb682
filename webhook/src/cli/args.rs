//! The flags that several commands have.

use std::path::PathBuf;

use clap::Args;
use inject::Settings;

use crate::settings::SettingsArgs;
use crate::settings::SettingsError;

/// Which manifests.
#[derive(Args, Clone, Debug)]
pub struct InputArgs {
    /// Manifests, YAML or JSON: a file, - for standard input, or a directory, of which all *.yaml,
    /// *.yml and *.json are read, however deep; may be repeated
    #[arg(
        short = 'f',
        long = "filename",
        required = true,
        value_name = "FILE|-|DIR"
    )]
    pub filenames: Vec<PathBuf>,

    /// The namespace of what does not name one
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,
}

/// Where the manifests go.
#[derive(Args, Clone, Copy, Debug)]
pub struct OutputArgs {
    /// Write into the files instead of to standard output
    #[arg(short, long)]
    pub in_place: bool,

    /// Write nothing; end with code 1 where something would change
    #[arg(long, conflicts_with = "in_place")]
    pub check: bool,
}

/// Reads the settings; the image is this version's where none is named.
pub fn settings(args: SettingsArgs) -> Result<Settings, SettingsError> {
    args.load_or(&format!(
        "gitvolume.dev/gitvolume-syncer:{}",
        env!("CARGO_PKG_VERSION")
    ))
}
