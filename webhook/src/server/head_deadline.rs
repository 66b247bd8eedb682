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

/// Limits the time from a call's first byte to the end of its headers; for the first call of a
/// connection from its beginning, so that a caller that sends nothing keeps no place.
///
/// hyper's own `header_read_timeout` also runs between two calls of a kept connection (its
/// `poll_read_head` starts the clock before a byte is there), so it cannot be shorter than the
/// idle time that the API server's client relies on. We use it as the idle limit, and this as the
/// limit of a head that trickles in.
pub(super) struct HeadDeadline<T> {
    inner: T,
    limit: Duration,
    reading: Option<Reading>,
    calls: Calls,
}

/// The head that is being read, and after how many beginnings and ends of calls it began.
struct Reading {
    since: u64,
    deadline: Pin<Box<Sleep>>,
}

impl Reading {
    fn begin(since: u64, limit: Duration) -> Self {
        Self {
            since,
            deadline: Box::pin(tokio::time::sleep(limit)),
        }
    }
}

/// Counts the beginnings and ends of a connection's calls: odd while one is being answered, and
/// what arrives is no head then.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls(Arc<AtomicU64>);

impl Calls {
    /// Says that a head is complete.
    pub(super) fn begin(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Says that its answer is ready.
    pub(super) fn end(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl<T> HeadDeadline<T> {
    pub(super) fn new(inner: T, limit: Duration, calls: Calls) -> Self {
        Self {
            inner,
            limit,
            reading: Some(Reading::begin(0, limit)),
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
        if self
            .reading
            .as_ref()
            .is_some_and(|reading| reading.since != count)
        {
            // That head came to its end.
            self.reading = None;
        }
        if let Some(reading) = &mut self.reading
            && reading.deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        let idle = count.is_multiple_of(2);
        if idle && self.reading.is_none() && buffer.filled().len() > before {
            self.reading = Some(Reading::begin(count, self.limit));
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
