//! `push`: the receiver of push webhooks, which is the crate of that name.

use std::process::ExitCode;

use args::PushArgs;
use push::PushConfig;
use tokio::runtime;

use crate::error::chain;
use crate::observe::logging;
use crate::process::run::FATAL;
use crate::redact::redact;
use crate::schedule::start_error::StartError;
use crate::system::signals::Signals;

/// Receives pushes until a signal ends the process.
pub(crate) fn run(args: PushArgs) -> Result<ExitCode, StartError> {
    logging::init(args.verbose);
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(StartError::Runtime)?;
    let received = runtime.block_on(receive(args.into()))?;
    // A lookup of the cache's host name that is still running must not delay the end.
    runtime.shutdown_background();
    Ok(received)
}

async fn receive(config: PushConfig) -> Result<ExitCode, StartError> {
    let mut signals = Signals::listen(None).map_err(StartError::Signals)?;
    Ok(match push::run(config, signals.asked_to_end()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = redact(&chain(&error)), "FATAL: cannot continue");
            ExitCode::from(FATAL)
        }
    })
}
