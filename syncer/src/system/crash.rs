//! Crash injection: ends the program before the step that the crash tests select. Every change of
//! the disk and every git command is a step. Release builds do not contain it.

#[cfg(debug_assertions)]
pub(crate) use ordered::arm;
#[cfg(debug_assertions)]
pub(crate) use ordered::step;

/// Counts a step; without crash tests it does nothing.
#[cfg(not(debug_assertions))]
#[inline]
pub(crate) fn step() {}

#[cfg(debug_assertions)]
mod ordered {
    use std::sync::atomic::AtomicI64;
    use std::sync::atomic::Ordering;

    use nix::sys::signal::Signal;
    use nix::sys::signal::raise;

    /// The number of steps before the crash; negative from the start means no crash.
    static LEFT: AtomicI64 = AtomicI64::new(-1);

    /// Sets the crash before this step, counted from 0.
    pub(crate) fn arm(step: Option<i64>) {
        LEFT.store(step.unwrap_or(-1), Ordering::Relaxed);
    }

    /// Counts a step, or ends here as by `kill -9`: all processes in the same PID namespace end
    /// too, as process 1 detects it.
    pub(crate) fn step() {
        if LEFT.fetch_sub(1, Ordering::Relaxed) == 0 {
            // It cannot fail, and no process would be left to report a failure.
            let _ = raise(Signal::SIGKILL);
        }
    }
}
