//! The stages of an orderly end.
//!
//! A Pod that is asked to stop is still in the endpoints for a while, and every call that is lost
//! then is a Pod refused somewhere (openchoreo/openchoreo#3723 measured 181 of 788). So we go in
//! stages: not ready but serving, then no new connections, then the end.

use std::io;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::watch;

/// How far the end has come; `/metrics` shows it as a number.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// Nobody asked us to stop.
    #[default]
    Serving,
    /// Not ready; every answer closes its connection, so that callers move to another replica.
    Leaving,
    /// No new connection is taken; calls in flight finish.
    Stopping,
}

/// How long calls in flight may take after the last connection was accepted.
pub const FINISH_TIMEOUT: Duration = Duration::from_secs(10);

/// Waits for a stage; a sender that is gone counts as the last one.
pub async fn reached(stage: &mut watch::Receiver<Stage>, wanted: Stage) {
    // The error is "no sender": then nobody keeps the server any more.
    let _ = stage.wait_for(|now| *now >= wanted).await;
}

/// SIGTERM, SIGINT and SIGHUP, which mean the same here: the one who started us wants us to end.
#[derive(Debug)]
pub struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes the signals over from now on.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one and names it.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.hangup.recv() => "SIGHUP",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
