//! The time at which an answer arrives at a follower.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;
use std::time::Instant;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio::time::sleep;

/// The time until a follower reads an answer. All followers share the cores of this machine with the
/// cache, and each has a machine of its own in a cluster; in this time the cache has the cores.
const READ_AFTER: Duration = Duration::from_secs(1);

/// Records when the answer to the next request arrives.
#[derive(Clone, Default)]
pub(crate) struct Arrival(Arc<Mutex<State>>);

#[derive(Default)]
enum State {
    #[default]
    Ignored,
    Awaited,
    Arrived(Instant),
}

impl Arrival {
    /// Records the next arrival.
    pub(crate) fn expect(&self) {
        *self.lock() = State::Awaited;
    }

    /// When the expected answer arrived.
    pub(crate) fn time(&self) -> Option<Instant> {
        match *self.lock() {
            State::Arrived(at) => Some(at),
            State::Ignored | State::Awaited => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection of a follower.
pub(crate) struct ArrivalStream {
    stream: TcpStream,
    arrival: Arrival,
    /// Runs from the arrival of an expected answer until it is read.
    pause: Option<Pin<Box<Sleep>>>,
}

impl ArrivalStream {
    pub(crate) fn new(stream: TcpStream, arrival: Arrival) -> Self {
        Self {
            stream,
            arrival,
            pause: None,
        }
    }
}

impl AsyncRead for ArrivalStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let is_awaited = matches!(*self.arrival.lock(), State::Awaited);
        if is_awaited {
            ready!(self.stream.poll_read_ready(cx))?;
            *self.arrival.lock() = State::Arrived(Instant::now());
            self.pause = Some(Box::pin(sleep(READ_AFTER)));
        }
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for ArrivalStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
