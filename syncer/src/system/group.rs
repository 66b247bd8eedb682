//! The process group of a command.

use nix::sys::signal::Signal;
use nix::sys::signal::killpg;
use nix::unistd::Pid;

/// A process group that is killed when this value is dropped, unless the command has ended by
/// itself.
pub(crate) struct Group(Option<Pid>);

impl Group {
    /// The group of a command that was started as its leader.
    pub(crate) fn of(leader: Option<u32>) -> Self {
        let leader = leader.and_then(|id| i32::try_from(id).ok());
        Self(leader.map(Pid::from_raw))
    }

    /// Kills the remaining processes.
    pub(crate) fn kill(&mut self) {
        if let Some(group) = self.0.take() {
            // The only possible error is that no process is left.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }

    /// Stops the kill on drop: the command has ended.
    pub(crate) fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
