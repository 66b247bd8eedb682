//! A proxy that counts the traffic between a syncer and its remote.

use std::io::Read;
use std::io::Result as IoResult;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

/// A TCP proxy on a free port of 127.0.0.1.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    remote: SocketAddr,
    is_over: AtomicBool,
    connections: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    times: Mutex<Times>,
}

struct Times {
    /// The time of the last traffic.
    last: Instant,
    /// Whether there was traffic after the mark.
    has_passed: bool,
}

/// The traffic so far: the TCP payload, without the headers of IP and TCP.
#[derive(Clone, Copy, Default)]
pub(crate) struct Traffic {
    /// Connections that were opened.
    pub(crate) connections: u64,
    /// Bytes to the remote.
    pub(crate) sent: u64,
    /// Bytes from the remote.
    pub(crate) received: u64,
}

impl Proxy {
    /// Starts to forward to a remote.
    pub(crate) fn start(remote: SocketAddr) -> IoResult<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            remote,
            is_over: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            times: Mutex::new(Times {
                last: Instant::now(),
                has_passed: false,
            }),
        });
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.is_over.load(Ordering::Relaxed) {
                    return;
                }
                // If the client or the remote closes early, both sides see the end.
                let _ = stream.and_then(|stream| shared.pass_on(stream));
            }
        });
        Ok(Self { address, state })
    }

    /// The address that it listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The traffic so far.
    pub(crate) fn traffic(&self) -> Traffic {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Traffic {
            connections: read(&self.state.connections),
            sent: read(&self.state.sent),
            received: read(&self.state.received),
        }
    }

    /// How long there has been no traffic.
    pub(crate) fn quiet(&self) -> Duration {
        self.state.times().last.elapsed()
    }

    /// Sets the mark: earlier traffic no longer counts.
    pub(crate) fn mark(&self) {
        self.state.times().has_passed = false;
    }

    /// Whether there was traffic since the mark.
    pub(crate) fn has_passed_since_mark(&self) -> bool {
        self.state.times().has_passed
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::Relaxed);
        // Wakes the thread that listens.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass_on(self: &Arc<Self>, client: TcpStream) -> IoResult<()> {
        self.connections.fetch_add(1, Ordering::Relaxed);
        let remote = TcpStream::connect(self.remote)?;
        client.set_nodelay(true)?;
        remote.set_nodelay(true)?;
        let (from, to, state) = (client.try_clone()?, remote.try_clone()?, self.clone());
        thread::spawn(move || state.copy(from, to, &state.sent));
        let state = self.clone();
        thread::spawn(move || state.copy(remote, client, &state.received));
        Ok(())
    }

    fn copy(&self, mut from: TcpStream, mut to: TcpStream, count: &AtomicU64) {
        let mut buffer = [0; 16 * 1024];
        loop {
            match from.read(&mut buffer) {
                Ok(size) if size > 0 => {
                    count.fetch_add(size as u64, Ordering::Relaxed);
                    *self.times() = Times {
                        last: Instant::now(),
                        has_passed: true,
                    };
                    if to.write_all(&buffer[..size]).is_err() {
                        break;
                    }
                }
                _ => break,
            }
        }
        // The other side may have closed already.
        let _ = to.shutdown(Shutdown::Write);
    }
}
