//! The signals that the process handles: two end it, and a configurable one requests a sync.

use std::io;

use nix::sys::signal::SigSet;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::watch;

/// The highest signal number of the kernel.
const HIGHEST: i32 = 64;

/// Signals that cannot request a sync: those that end the process, that no program can catch, that
/// report its own faults, or that report the end of a child.
const NOT_OURS: [nix::sys::signal::Signal; 8] = [
    nix::sys::signal::SIGINT,
    nix::sys::signal::SIGTERM,
    nix::sys::signal::SIGKILL,
    nix::sys::signal::SIGSTOP,
    nix::sys::signal::SIGILL,
    nix::sys::signal::SIGFPE,
    nix::sys::signal::SIGSEGV,
    nix::sys::signal::SIGCHLD,
];

/// Parses `--sync-on-signal`: a number, or a name such as `SIGHUP` or `HUP`.
pub(crate) fn parse(text: &str) -> Option<SignalKind> {
    let number = match args::go_int(text) {
        Some(number) => i32::try_from(number).ok()?,
        None => {
            let name = text.strip_prefix("SIG").unwrap_or(text);
            let known: nix::sys::signal::Signal = format!("SIG{name}").parse().ok()?;
            known as i32
        }
    };
    let is_allowed =
        (1..=HIGHEST).contains(&number) && NOT_OURS.iter().all(|refused| *refused as i32 != number);
    is_allowed.then(|| SignalKind::from_raw(number))
}

/// The handlers of the signals.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    wake: Option<(i32, Signal)>,
    woken: Vec<watch::Sender<()>>,
}

impl Signals {
    /// Registers the handlers; call it only within the event loop.
    pub(crate) fn listen(wake: Option<SignalKind>) -> io::Result<Self> {
        let wake = wake.map(|kind| Ok::<_, io::Error>((kind.as_raw_value(), signal(kind)?)));
        let signals = Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            wake: wake.transpose()?,
            woken: Vec::new(),
        };
        // Process 1 has blocked them, and a child inherits that; a signal that arrived before is
        // delivered here.
        SigSet::empty().thread_set_mask()?;
        Ok(signals)
    }

    /// A new channel, which changes at each signal that requests a sync.
    pub(crate) fn wake(&mut self) -> watch::Sender<()> {
        let wake = watch::Sender::new(());
        self.woken.push(wake.clone());
        wake
    }

    /// Waits for a signal that ends the program, and forwards requests for a sync meanwhile;
    /// returns the name of the signal.
    pub(crate) async fn asked_to_end(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.terminate.recv() => return "SIGTERM",
                number = received(&mut self.wake) => {
                    tracing::info!(v = 1, signal = number, "caught signal");
                    for wake in &self.woken {
                        wake.send_replace(());
                    }
                }
            }
        }
    }
}

async fn received(wake: &mut Option<(i32, Signal)>) -> i32 {
    if let Some((number, signal)) = wake
        && signal.recv().await.is_some()
    {
        return *number;
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_a_number_or_a_name() {
        for (text, number) in [
            ("1", 1),
            ("0x1", 1),
            ("HUP", 1),
            ("SIGHUP", 1),
            ("USR1", 10),
            ("40", 40),
        ] {
            let kind = parse(text).unwrap();
            assert_eq!(kind.as_raw_value(), number, "{text}");
        }
    }

    #[test]
    fn signals_that_end_the_process_or_cannot_be_caught_are_refused() {
        for text in [
            "", "0", "-1", "65", "hup", "NOPE", "KILL", "9", "SIGTERM", "2", "17",
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
