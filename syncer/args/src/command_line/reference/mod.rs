//! Reference of the flags: help, manual and pages of docs/, generated from one table.

pub(crate) mod help;
pub(crate) mod keys;
pub(crate) mod manual;
pub(crate) mod page;
