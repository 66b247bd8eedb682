//! The process: command line, start and end.

pub(crate) mod cli;
pub(crate) mod probe;
pub(crate) mod push;
pub(crate) mod run;
