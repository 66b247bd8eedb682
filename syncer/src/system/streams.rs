//! Open files sent from one process to another over a Unix socket.

// Only the poller receives them.
#![cfg_attr(not(feature = "poller"), allow(dead_code))]

use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as BlockingStream;

use rustix::cmsg_space;
use rustix::net::RecvAncillaryBuffer;
use rustix::net::RecvAncillaryMessage;
use rustix::net::RecvFlags;
use rustix::net::SendAncillaryBuffer;
use rustix::net::SendAncillaryMessage;
use rustix::net::SendFlags;
use rustix::net::recvmsg;
use rustix::net::sendmsg;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// The number of files of one message: standard input, output and error.
const STREAMS: usize = 3;

/// The limit of a message, in bytes.
const LONGEST: usize = 16 << 10;

/// Sends a message with three open files. Blocks.
pub(crate) fn send(
    stream: &BlockingStream,
    message: &[u8],
    files: [BorrowedFd<'_>; STREAMS],
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(STREAMS))];
    let mut with = SendAncillaryBuffer::new(&mut space);
    let is_sent = with.push(SendAncillaryMessage::ScmRights(&files))
        && sendmsg(
            stream,
            &[IoSlice::new(message)],
            &mut with,
            SendFlags::empty(),
        )? == message.len();
    if is_sent {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

/// Receives such a message.
pub(crate) async fn receive(stream: &UnixStream) -> io::Result<(Vec<u8>, [OwnedFd; STREAMS])> {
    stream
        .async_io(Interest::READABLE, || {
            let mut message = vec![0; LONGEST];
            let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(STREAMS))];
            let mut with = RecvAncillaryBuffer::new(&mut space);
            let slice = &mut [IoSliceMut::new(&mut message)];
            let received = recvmsg(stream, slice, &mut with, RecvFlags::CMSG_CLOEXEC)?;
            message.truncate(received.bytes);
            let files = with.drain().filter_map(|part| match part {
                RecvAncillaryMessage::ScmRights(files) => Some(files),
                _ => None,
            });
            let files: Vec<OwnedFd> = files.flatten().collect();
            let files = files.try_into();
            Ok((message, files.map_err(|_| io::ErrorKind::InvalidData)?))
        })
        .await
}

/// Sends one byte.
pub(crate) async fn send_byte(stream: &UnixStream, byte: u8) -> io::Result<()> {
    let write = || Ok(rustix::io::write(stream, &[byte])?);
    stream.async_io(Interest::WRITABLE, write).await.map(drop)
}
