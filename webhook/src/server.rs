//! The two listeners: TLS for the API server, plain HTTP for probes and Prometheus.
//!
//! Why an accept loop of our own: the API server's client keeps a connection per webhook open for
//! as long as it can, so the limits that matter (handshake, headers, age, number) are per
//! connection, and the ready-made servers have only some of them.

mod connection;
mod head_deadline;
mod listen;

use std::future::IntoFuture;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use certs::Serving;
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::sync::Semaphore;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use crate::admin;
use crate::admin::Admin;
use crate::handler;
use crate::handler::Mutate;
use crate::judge::Judge;
use crate::known::Known;
use crate::metrics::Metrics;
use crate::shutdown::FINISH_TIMEOUT;
use crate::shutdown::Stage;
use crate::shutdown::quiet;
use crate::shutdown::reached;
use connection::Connection;
pub use listen::Listen;

/// Where to listen and what to allow.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Address of the TLS listener.
    pub listen: Listen,
    /// Address of the admin listener.
    pub admin_listen: Listen,
    /// Limits of connections and calls.
    pub limits: Limits,
}

/// What a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Calls at a time; further ones are told to come back.
    pub inflight: usize,
    /// Bytes of calls' bodies at a time; a call that needs more is told to come back.
    pub inflight_bytes: usize,
    /// For the TLS handshake.
    pub handshake: Duration,
    /// From the end of the handshake to the first byte of the first call. The API server's client also
    /// keeps connections that it has not used yet: one that is closed while the client begins to use it
    /// fails that call, so this is longer than a burst of new connections lasts.
    pub silence: Duration,
    /// From the first byte of a call to the end of its headers.
    pub head: Duration,
    /// Between two calls. The API server's client keeps an idle connection for 90 seconds
    /// (Go's `http.Transport`); closing it earlier would lose the call it is about to send.
    pub idle: Duration,
    /// After this age, with up to as much again at random, the next answer closes the connection,
    /// so that replicas share the load.
    pub age: Duration,
}

/// A minute, so that a replica that is new has its share after two.
pub(crate) const DEFAULT_AGE: Duration = Duration::from_secs(60);

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            inflight: handler::MAX_INFLIGHT,
            inflight_bytes: handler::MAX_INFLIGHT_BYTES,
            handshake: Duration::from_secs(3),
            silence: Duration::from_secs(10),
            head: Duration::from_secs(5),
            idle: Duration::from_secs(120),
            age: DEFAULT_AGE,
        }
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address could not be bound.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address as it was given.
        address: Listen,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The TLS library refused the configuration.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// A server that runs; it ends when this is dropped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    admin_address: SocketAddr,
    stage: watch::Sender<Stage>,
    accepted: Arc<Notify>,
    mutate: JoinHandle<()>,
    admin: JoinHandle<io::Result<()>>,
}

/// Binds both listeners and serves; port 0 takes a free port, which [`Running`] tells.
pub async fn start(
    config: Config,
    serving: Arc<Serving>,
    known: Known,
    judge: Arc<dyn Judge>,
) -> Result<Running, StartError> {
    let Config {
        listen,
        admin_listen,
        limits,
    } = config;
    let acceptor = TlsAcceptor::from(Arc::new(tls(&serving).map_err(StartError::Tls)?));
    let (listener, address) = listen.bind().await.map_err(|source| StartError::Bind {
        address: listen,
        source,
    })?;
    let bound = admin_listen.bind().await;
    let (admin_listener, admin_address) = bound.map_err(|source| StartError::Bind {
        address: admin_listen,
        source,
    })?;
    tracing::info!(%address, admin = %admin_address, "listening");

    let metrics = Arc::new(Metrics::new());
    let (stage, watch) = watch::channel(Stage::default());
    let mutate = Mutate::new(
        judge,
        Arc::clone(&metrics),
        limits.inflight,
        limits.inflight_bytes,
    );
    let connection = Connection {
        acceptor,
        router: handler::router(mutate),
        metrics: Arc::clone(&metrics),
        limits,
        stage: watch.clone(),
    };
    let admin = admin::router(Admin {
        serving,
        known,
        metrics,
        stage: watch,
    });
    let accepted = Arc::new(Notify::new());
    Ok(Running {
        address,
        admin_address,
        stage,
        accepted: Arc::clone(&accepted),
        mutate: tokio::spawn(accept(listener, connection, accepted)),
        admin: tokio::spawn(serve_admin(admin_listener, admin)),
    })
}

impl Running {
    /// Where the TLS listener is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the admin listener is.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Turns not ready and asks callers, with each answer, to connect elsewhere.
    pub fn leave(&self) {
        self.stage.send_replace(Stage::Leaving);
    }

    /// Waits until nobody has connected for as long as `delay`, or until it has taken
    /// [`PATIENCE`](crate::shutdown::PATIENCE) times that.
    pub async fn left_alone(&self, delay: Duration) {
        if !quiet(&self.accepted, delay).await {
            tracing::warn!("somebody still connects, who will be refused now");
        }
    }

    /// Takes no new connection and returns when the calls in flight are answered.
    pub async fn stop(mut self) {
        self.stage.send_replace(Stage::Stopping);
        if tokio::time::timeout(FINISH_TIMEOUT, &mut self.mutate)
            .await
            .is_err()
        {
            tracing::warn!("calls in flight did not finish in time");
        }
    }

    /// Returns only if one of the listeners ends by itself, which is an accident.
    pub async fn ended(&mut self) {
        tokio::select! {
            _ = &mut self.mutate => tracing::error!("the TLS listener ended"),
            _ = &mut self.admin => tracing::error!("the admin listener ended"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.mutate.abort();
        self.admin.abort();
    }
}

fn tls(serving: &Serving) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(serving.resolver());
    // The API server speaks HTTP/1.1 to webhooks (https://issue.k8s.io/75791).
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Its client resumes no session either; none kept means none signed by a CA of the past.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

async fn accept(listener: TcpListener, connection: Connection, someone: Arc<Notify>) {
    let permits = Arc::new(Semaphore::new(connection.limits.connections));
    let connections = TaskTracker::new();
    let mut stage = connection.stage.clone();
    loop {
        let next = async {
            // The semaphore is never closed.
            let permit = Arc::clone(&permits).acquire_owned().await.ok();
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            () = reached(&mut stage, Stage::Stopping) => break,
            next = next => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                someone.notify_one();
                let connection = connection.clone();
                let open = Open::count(&connection.metrics);
                connections.spawn(async move {
                    connection.run(stream, peer).await;
                    drop((permit, open));
                });
            }
            Err(error) => {
                // Out of descriptors, or a peer that is gone already: neither is the end.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// A connection in the gauge, for as long as this value is there: also where its task panics.
struct Open(Arc<Metrics>);

impl Open {
    fn count(metrics: &Arc<Metrics>) -> Self {
        metrics.accepted.inc();
        metrics.connections.inc();
        Self(Arc::clone(metrics))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

async fn serve_admin(listener: TcpListener, router: Router) -> io::Result<()> {
    axum::serve(listener, router).into_future().await
}
