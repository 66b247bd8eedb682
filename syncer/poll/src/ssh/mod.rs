//! Polls over ssh, and git's fetch over the same session.

mod known_hosts;
mod loan;
mod poller;

pub use loan::LentSession;
pub use poller::SshRefPoller;
