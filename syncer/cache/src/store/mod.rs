//! Stored answers on disk.

pub(crate) mod answer_file;
pub(crate) mod disk;
pub(crate) mod key;
