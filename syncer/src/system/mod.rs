//! The operating system: files, processes, signals, and the ownership of directories.

pub(crate) mod crash;
pub(crate) mod files;
pub(crate) mod group;
pub(crate) mod init;
pub(crate) mod lease;
pub(crate) mod lock;
pub(crate) mod output;
pub(crate) mod owner;
pub(crate) mod passwd;
pub(crate) mod program;
pub(crate) mod signals;
pub(crate) mod streams;
