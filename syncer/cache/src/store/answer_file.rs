//! A file with one answer. Readers do not share a position, so one open file serves all followers.
//!
//! Format: 8 bytes of magic, the length of the answer in 8 bytes (little-endian), its SHA-256, the
//! answer. The first 48 bytes are zero until the answer is complete.

use std::fs::File;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use bytes::Bytes;
use ring::digest::Context;
use ring::digest::Digest;
use ring::digest::SHA256;

const MAGIC: &[u8; 8] = b"gvcache1";

/// The bytes before the answer.
const HEADER: u64 = 48;

/// The bytes that are read at once: most of the memory of a follower that receives a pack. As much as a
/// connection buffers: after a smaller part it would take another one.
pub(crate) const CHUNK: u64 = 24 << 10;

/// A file that is being written, or is complete.
#[derive(Debug)]
pub(crate) struct AnswerFile {
    file: File,
}

/// What shows, without reading it, that a file has not changed since it was verified.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct FileStamp([i64; 6]);

impl FileStamp {
    /// The size of the file in bytes.
    pub(crate) fn size(self) -> u64 {
        self.0[1] as u64
    }

    /// The length of the answer in a complete file.
    pub(crate) fn answer_length(self) -> u64 {
        self.size().saturating_sub(HEADER)
    }

    fn of(metadata: &Metadata) -> Self {
        Self([
            metadata.ino() as i64,
            metadata.size() as i64,
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        ])
    }
}

impl AnswerFile {
    pub(crate) fn new(file: File) -> Self {
        Self { file }
    }

    /// The bytes from a position on, up to the end of the answer and at most [`CHUNK`]; reads
    /// outside of the event loop.
    pub(crate) async fn read(self: &Arc<Self>, at: u64, end: u64) -> io::Result<Bytes> {
        let this = Arc::clone(self);
        let read = move || {
            let mut bytes = vec![0; CHUNK.min(end.saturating_sub(at)) as usize];
            this.file.read_exact_at(&mut bytes, HEADER + at)?;
            Ok(Bytes::from(bytes))
        };
        let read = tokio::task::spawn_blocking(read).await;
        read.map_err(io::Error::other)?
    }

    /// Writes a part of the answer.
    pub(crate) fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, HEADER + at)
    }

    /// Writes the header of a complete answer, and waits until all of it is on the disk.
    pub(crate) fn complete(&self, length: u64, digest: &Digest) -> io::Result<()> {
        let header = [&MAGIC[..], &length.to_le_bytes(), digest.as_ref()].concat();
        self.file.write_all_at(&header, 0)?;
        self.file.sync_all()
    }

    pub(crate) fn stamp(&self) -> io::Result<FileStamp> {
        Ok(FileStamp::of(&self.file.metadata()?))
    }

    /// Reads the file to its end and returns the length of the answer; `None` if the file is not
    /// what was written.
    pub(crate) fn verify(&self) -> io::Result<Option<u64>> {
        let size = self.file.metadata()?.size();
        let Some(length) = size.checked_sub(HEADER) else {
            return Ok(None);
        };
        let mut header = [0; HEADER as usize];
        self.file.read_exact_at(&mut header, 0)?;
        let mut hash = Context::new(&SHA256);
        let mut buffer = vec![0; CHUNK as usize];
        let mut at = 0;
        while at < length {
            let part = CHUNK.min(length - at) as usize;
            self.file.read_exact_at(&mut buffer[..part], HEADER + at)?;
            hash.update(&buffer[..part]);
            at += part as u64;
        }
        let expected = [&MAGIC[..], &length.to_le_bytes(), hash.finish().as_ref()].concat();
        Ok((header[..] == expected).then_some(length))
    }
}
