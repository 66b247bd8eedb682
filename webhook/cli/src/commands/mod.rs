//! The commands: flags and implementation of each.

pub mod convert;
pub mod diff;
pub mod doctor;
pub mod explain;
pub mod inject;
pub mod status;
pub mod uninject;
pub mod wait;
