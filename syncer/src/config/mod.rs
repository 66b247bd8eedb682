//! Turns what was typed into what it means.

mod access;
mod environment;
mod error;
mod file;
mod hooks;
mod process;
mod repo;
mod v3;

use std::path::PathBuf;
use std::sync::Arc;

use args::Names;
use args::SyncArgs;

pub(crate) use crate::config::access::AccessConfig;
pub(crate) use crate::config::environment::Environment;
pub(crate) use crate::config::error::ConfigError;
pub(crate) use crate::config::hooks::ExecHook;
pub(crate) use crate::config::hooks::HooksConfig;
pub(crate) use crate::config::hooks::Webhook;
pub(crate) use crate::config::process::ProcessConfig;
pub(crate) use crate::config::repo::Credentials;
pub(crate) use crate::config::repo::LayoutConfig;
pub(crate) use crate::config::repo::RepoConfig;
pub(crate) use crate::config::repo::Sparse;
pub(crate) use crate::config::v3::keep_v3_root;

/// What the syncer does, with every value checked: the process's part, and each repository's.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) process: ProcessConfig,
    pub(crate) repos: Vec<RepoConfig>,
    /// The process's own state directory, where `probe` begins.
    pub(crate) state: Option<PathBuf>,
}

impl Config {
    /// Checks every value and makes paths absolute. What is wrong is said under the names by which
    /// the flags were set.
    pub(crate) fn new(
        args: SyncArgs,
        names: &Names,
        environment: Environment,
    ) -> Result<Self, ConfigError> {
        let SyncArgs { process, repo } = args;
        let environment = Arc::new(environment);
        let named = |error: ConfigError| error.named(|flag| names.of(flag));
        let state = repo.state.clone();
        // The repositories first, as git-sync does.
        let repos = match file::repos(&process, &repo, &environment).map_err(named)? {
            Some(repos) => repos,
            None => vec![RepoConfig::new(repo, environment.clone()).map_err(named)?],
        };
        Ok(Self {
            process: ProcessConfig::new(process, environment).map_err(named)?,
            repos,
            state,
        })
    }
}
