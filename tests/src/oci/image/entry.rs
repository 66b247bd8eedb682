//! An entry of an image's file system.

use std::path::PathBuf;

/// A file, a directory or a symlink.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) what: What,
    pub(super) mode: u32,
    /// UID and GID.
    pub(super) owner: (u64, u64),
    /// The number of its layer, from 0.
    pub(super) layer: usize,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Dir,
    File(Vec<u8>),
    Link(PathBuf),
}
