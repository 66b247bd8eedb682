//! Turns what was typed into what it means.

mod environment;
mod file;
mod process;
mod repo;

use std::sync::Arc;

use args::SyncArgs;

use crate::auth::git_config::ParseError;
use crate::config::file::FileError;

pub(crate) use crate::config::environment::Environment;
pub(crate) use crate::config::process::ProcessConfig;
pub(crate) use crate::config::repo::AccessConfig;
pub(crate) use crate::config::repo::Credentials;
pub(crate) use crate::config::repo::ExecHook;
pub(crate) use crate::config::repo::HooksConfig;
pub(crate) use crate::config::repo::LayoutConfig;
pub(crate) use crate::config::repo::RepoConfig;
pub(crate) use crate::config::repo::Webhook;

/// Says which setting cannot be meant, in one sentence for the person who wrote it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("--{flag} (or {}): required: expected {expected}", env_name(flag))]
    Missing {
        flag: &'static str,
        expected: &'static str,
    },
    #[error("--{flag} (or {}): {value:?}: expected {expected}", env_name(flag))]
    Value {
        flag: String,
        value: String,
        expected: &'static str,
    },
    #[error("--{flag} (or {}): {why}", env_name(flag))]
    GitConfig { flag: &'static str, why: ParseError },
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot tell the working directory")]
    WorkingDirectory(#[source] std::io::Error),
}

impl ConfigError {
    /// The flag, and what is wrong with its value, where it is one flag's.
    fn about(&self) -> Option<(&str, String)> {
        match self {
            Self::Missing { flag, expected } => {
                Some((flag, format!("required: expected {expected}")))
            }
            Self::Value {
                flag,
                value,
                expected,
            } => Some((flag, format!("{value:?}: expected {expected}"))),
            Self::GitConfig { flag, why } => Some((flag, why.to_string())),
            Self::File(_) | Self::WorkingDirectory(_) => None,
        }
    }

    fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }
}

/// The environment's name of a flag.
pub(crate) fn env_name(flag: &str) -> String {
    format!("GITSYNC_{}", flag.replace('-', "_").to_uppercase())
}

/// What the syncer does, with every value checked: the process's part, and each repository's.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) process: ProcessConfig,
    pub(crate) repos: Vec<RepoConfig>,
}

impl Config {
    /// Checks every value and makes paths absolute.
    pub(crate) fn new(args: SyncArgs, environment: Environment) -> Result<Self, ConfigError> {
        let SyncArgs { process, repo } = args;
        let environment = Arc::new(environment);
        let repos = match file::repos(&process, &repo, &environment)? {
            Some(repos) => repos,
            None => vec![RepoConfig::new(repo, environment.clone())?],
        };
        Ok(Self {
            process: ProcessConfig::new(process, environment)?,
            repos,
        })
    }
}
