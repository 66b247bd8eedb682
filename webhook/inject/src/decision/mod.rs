//! From a review to its answer; removal and renewal of an injection.

pub(crate) mod answer;
pub(crate) mod considered;
pub(crate) mod decide;
mod differences;
pub(crate) mod renewal;
pub(crate) mod uninject;
