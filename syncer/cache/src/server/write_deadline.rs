//! A stream whose peer must go on reading.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::time::Sleep;
use tokio::time::sleep;

/// A stream that fails when the peer has accepted no byte for a time: a follower that stops reading
/// must not hold its connection and its transfer for ever.
pub(crate) struct WriteDeadline<T> {
    inner: T,
    longest: Duration,
    /// Runs while a write is pending.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<T> WriteDeadline<T> {
    pub(crate) fn new(inner: T, longest: Duration) -> Self {
        Self {
            inner,
            longest,
            deadline: None,
        }
    }

    /// Starts, checks or ends the deadline, by whether a write is pending.
    fn check<R>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.deadline = None;
            return written;
        }
        let longest = self.longest;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(sleep(longest)));
        match deadline.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for WriteDeadline<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for WriteDeadline<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.check(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.check(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.check(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_nothing_ends_the_stream() {
        let (one, _other) = tokio::io::duplex(10);
        let mut stream = WriteDeadline::new(one, Duration::from_secs(60));
        let begun = Instant::now();
        let error = stream.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_peer_gets_all_bytes() {
        let (one, mut other) = tokio::io::duplex(10);
        let mut stream = WriteDeadline::new(one, Duration::from_secs(60));
        let writing = tokio::spawn(async move { stream.write_all(&[7; 100]).await });
        let mut read = Vec::new();
        while read.len() < 100 {
            sleep(Duration::from_secs(50)).await;
            let mut part = [0; 10];
            let length = other.read(&mut part).await.unwrap();
            read.extend_from_slice(&part[..length]);
        }
        writing.await.unwrap().unwrap();
        assert_eq!(read, [7; 100]);
    }
}
