//! Documents that are generated from the description of the command line: completions and manual
//! pages.

pub mod complete;
pub mod completions;
pub mod man;
