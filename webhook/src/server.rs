//! The two listeners: TLS for the API server, plain HTTP for probes and Prometheus.
//!
//! Why an own accept loop: the API server's client keeps a connection per webhook open for as long
//! as it can, so the limits that matter (handshake, headers, age, number) are per connection, and
//! the available servers implement only some of them.

pub mod admin;
mod connection;
pub mod handler;
mod head_deadline;
pub mod judge;
pub(crate) mod limits;
mod listen;
pub mod readiness;

use std::future::IntoFuture;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use certs::Serving;
use connection::Connection;
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::sync::Semaphore;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use crate::cluster::known::Known;
use crate::metrics::Metrics;
use crate::server::admin::Admin;
use crate::server::handler::Mutate;
use crate::server::judge::Judge;
use crate::shutdown::FINISH_TIMEOUT;
use crate::shutdown::Stage;
use crate::shutdown::quiet;
use crate::shutdown::reached;

pub use crate::server::limits::Limits;
pub use listen::Listen;

/// Listen addresses and limits.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Address of the TLS listener.
    pub listen: Listen,
    /// Address of the admin listener.
    pub admin_listen: Listen,
    /// Limits of connections and calls.
    pub limits: Limits,
}

/// An error that prevents the server from starting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address could not be bound.
    #[error("cannot listen on {address}")]
    Bind {
        /// The configured address.
        address: Listen,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The TLS library rejected the configuration.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// A running server; dropping it stops it.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    admin_address: SocketAddr,
    stage: watch::Sender<Stage>,
    accepted: Arc<Notify>,
    mutate: JoinHandle<()>,
    admin: JoinHandle<io::Result<()>>,
}

/// Binds both listeners and serves. Port 0 takes a free port; [`Running`] has the address.
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
    /// The address of the TLS listener.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of the admin listener.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Starts the drain: not ready, and every answer closes its connection.
    pub fn leave(&self) {
        self.stage.send_replace(Stage::Leaving);
    }

    /// Waits until no connection has been accepted for `delay`, at most
    /// [`MAX_DRAIN_FACTOR`](crate::shutdown::MAX_DRAIN_FACTOR) times as long.
    pub async fn left_alone(&self, delay: Duration) {
        if !quiet(&self.accepted, delay).await {
            tracing::warn!("clients still connect; the webhook now refuses new connections");
        }
    }

    /// Accepts no more connections, and returns when the calls in flight are answered.
    pub async fn stop(mut self) {
        self.stage.send_replace(Stage::Stopping);
        if tokio::time::timeout(FINISH_TIMEOUT, &mut self.mutate)
            .await
            .is_err()
        {
            tracing::warn!("requests in flight did not finish in time");
        }
    }

    /// Returns only if a listener ends by itself, which is a bug.
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
    // The API server's client resumes no session either; without stored sessions none outlives the
    // CA that signed its certificate.
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
                // Out of file descriptors, or the peer has disconnected: the server keeps running.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Counts a connection in the gauge until it is dropped, also if its task panics.
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
