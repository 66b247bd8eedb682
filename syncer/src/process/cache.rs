//! The pull-through cache (`gitvolume-syncer cache`).

use std::process::ExitCode;

use args::CacheArgs;
use cache::Config;
use cache::ConfigError;
use cache::StartError;
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::Resource;
use nix::sys::resource::getrlimit;
use nix::sys::resource::setrlimit;
use nix::sys::signal::SigSet;

use crate::observe::logging;
use crate::poll;

/// Why the cache has ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CacheError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Start(#[from] StartError),
    /// The kernel refuses to keep credentials out of core dumps, or to deliver signals.
    #[error("the process cannot be set up")]
    Process(#[from] nix::Error),
}

/// Runs the cache until a signal ends it.
pub(crate) fn run(args: CacheArgs) -> Result<ExitCode, CacheError> {
    logging::init(args.verbose);
    // The credentials of waiting followers are in memory: no core dump, no debugger of another
    // process of this user.
    set_dumpable(false)?;
    // A connection is an open file.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    // Process 1 has blocked the signals, and a child inherits that.
    SigSet::empty().thread_set_mask()?;
    cache::run(Config::new(args)?, poll::network())?;
    Ok(ExitCode::SUCCESS)
}
