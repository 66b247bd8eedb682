//! The ways in which the loop of one repository ends.

use crate::schedule::start_error::StartError;

/// The way in which the loop of one repository ended by itself.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The one-time sync or the clone is complete.
    Done,
    /// It reached the limit of failures, or a hook of a one-time sync failed.
    GaveUp,
    /// Its directories cannot be used, and it is the only repository of the process.
    NotStarted(StartError),
}
