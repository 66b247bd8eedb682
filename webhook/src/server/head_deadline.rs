use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::time::Sleep;

/// A stream with a timeout until its first byte, and from the first byte of each call to the end of
/// its headers.
///
/// hyper's own `header_read_timeout` also runs between two calls of a kept connection (its
/// `poll_read_head` starts the clock before a byte is there), so it cannot be shorter than the
/// idle time that the API server's client relies on. It serves as the idle limit, and this type
/// covers a connection that never sends a byte, and headers that arrive too slowly.
pub(super) struct HeadDeadline<T> {
    inner: T,
    head: Duration,
    stage: Stage,
    calls: Calls,
}

/// The timeout that currently applies to a connection.
enum Stage {
    /// No byte has arrived yet.
    Silent(Pin<Box<Sleep>>),
    /// Headers are being read; `since` is the value of [`Calls`] at their first byte.
    Head {
        since: u64,
        deadline: Pin<Box<Sleep>>,
    },
    /// A call is being answered, or the connection is idle.
    Unlimited,
}

/// Counts the starts and ends of a connection's calls: odd while a call is being answered, when
/// arriving bytes are not headers.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls(Arc<AtomicU64>);

impl Calls {
    /// Records that the headers of a call are complete.
    pub(super) fn begin(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that the answer of a call is ready.
    pub(super) fn end(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl<T> HeadDeadline<T> {
    /// Wraps a stream: `silence` limits the time until the first byte, `head` that of each call's
    /// headers.
    pub(super) fn new(inner: T, silence: Duration, head: Duration, calls: Calls) -> Self {
        Self {
            inner,
            head,
            stage: Stage::Silent(Box::pin(tokio::time::sleep(silence))),
            calls,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for HeadDeadline<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = self.calls.0.load(Ordering::Relaxed);
        if matches!(self.stage, Stage::Head { since, .. } if since != count) {
            // Those headers are complete.
            self.stage = Stage::Unlimited;
        }
        if let Stage::Silent(deadline) | Stage::Head { deadline, .. } = &mut self.stage
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        let is_idle = count.is_multiple_of(2);
        let is_in_head = matches!(self.stage, Stage::Head { .. });
        if is_idle && !is_in_head && buffer.filled().len() > before {
            self.stage = Stage::Head {
                since: count,
                deadline: Box::pin(tokio::time::sleep(self.head)),
            };
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for HeadDeadline<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
