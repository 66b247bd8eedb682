//! The validated configuration, made from the parsed flags.

mod access;
mod cache;
mod environment;
mod error;
mod file;
pub(crate) mod file_error;
mod hooks;
mod layout;
mod process;
mod repo;
mod v3;

use std::path::PathBuf;
use std::sync::Arc;

use args::Names;
use args::SyncArgs;

pub(crate) use crate::config::access::AccessConfig;
pub(crate) use crate::config::cache::CacheConfig;
pub(crate) use crate::config::environment::Environment;
pub(crate) use crate::config::error::ConfigError;
pub(crate) use crate::config::hooks::ExecHook;
pub(crate) use crate::config::hooks::HooksConfig;
pub(crate) use crate::config::hooks::Webhook;
pub(crate) use crate::config::layout::LayoutConfig;
pub(crate) use crate::config::process::ProcessConfig;
pub(crate) use crate::config::repo::Credentials;
pub(crate) use crate::config::repo::RepoConfig;
pub(crate) use crate::config::repo::Sparse;
pub(crate) use crate::config::v3::keep_v3_root;

/// The validated configuration: the process's part, and each repository's.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) process: ProcessConfig,
    pub(crate) repos: Vec<RepoConfig>,
    /// The process's own state directory; `probe` starts there.
    pub(crate) state: Option<PathBuf>,
}

impl Config {
    /// Checks every value and makes paths absolute. Errors name a flag as the user wrote it.
    pub(crate) fn new(
        args: SyncArgs,
        names: &Names,
        environment: Environment,
    ) -> Result<Self, ConfigError> {
        let SyncArgs { process, repo } = args;
        let environment = Arc::new(environment);
        let named = |error: ConfigError| error.named(|flag| names.of(flag));
        let state = repo.state.clone();
        // The repositories are checked first, as in git-sync.
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
