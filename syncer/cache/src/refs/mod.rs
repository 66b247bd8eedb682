//! Answers to `ls-refs`: one slot per credential and request, with its followers that wait for a
//! change.

pub(crate) mod answer;
pub(crate) mod slot;
pub(crate) mod table;
pub(crate) mod watches;
