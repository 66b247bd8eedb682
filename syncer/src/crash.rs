//! Ends the program as a crash would, before the step that the crash tests order: every change of
//! the disk is a step, and every command of git. A release has none of this.

#[cfg(debug_assertions)]
pub(crate) use ordered::arm;
#[cfg(debug_assertions)]
pub(crate) use ordered::step;

/// Passes a step by.
#[cfg(not(debug_assertions))]
#[inline]
pub(crate) fn step() {}

#[cfg(debug_assertions)]
mod ordered {
    use std::sync::atomic::AtomicI64;
    use std::sync::atomic::Ordering;

    use nix::sys::signal::Signal;
    use nix::sys::signal::raise;

    /// How many steps are still to be passed by; none will be the last if it is negative already.
    static LEFT: AtomicI64 = AtomicI64::new(-1);

    /// Orders the crash before this step, counted from 0.
    pub(crate) fn arm(step: Option<i64>) {
        LEFT.store(step.unwrap_or(-1), Ordering::Relaxed);
    }

    /// Passes a step by, or ends here as by `kill -9`: whatever runs in the same PID namespace ends
    /// with us, as process 1 sees us go.
    pub(crate) fn step() {
        if LEFT.fetch_sub(1, Ordering::Relaxed) == 0 {
            // Nobody is left to be told of a failure, and there is none.
            let _ = raise(Signal::SIGKILL);
        }
    }
}
