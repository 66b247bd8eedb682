//! The process from start to end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use poll::Network;
use tokio::runtime;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::time::interval;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::access::credential::IdentityKey;
use crate::access::registry::ACCEPTED;
use crate::access::registry::Registry;
use crate::access::wake_key::WakeKey;
use crate::cas::ReplicaCas;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::mounted::CHECK;
use crate::origin::client::Upstream;
use crate::origin::network::CheckedNetwork;
use crate::packs::flight::Hangar;
use crate::packs::flights::Flights;
use crate::peers::table::Peers;
use crate::refs::table::RefsTable;
use crate::refs::watches::Watches;
use crate::server::admin;
use crate::server::certificate::CertificateError;
use crate::server::certificate::ServedCertificate;
use crate::server::followers::Followers;
use crate::server::listen;
use crate::service::gate::Bodies;
use crate::service::gate::Service;
use crate::service::gate::ServiceTables;
use crate::service::gate::Stage;
use crate::store::disk::Store;

/// The time between two clean-ups of the tables.
const PRUNE: Duration = Duration::from_secs(60);

/// The timeout of packs that are being sent when the process drains.
const FINISH_TIMEOUT: Duration = Duration::from_secs(20);

/// Changes that wait for a prefetch.
const MOST_CHANGES: usize = 256;

/// The most threads for reading and writing files.
const BLOCKING_THREADS: usize = 32;

/// Why the cache does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be bound.
    #[error("cannot listen on {address}")]
    Bind {
        /// The configured address.
        address: String,
        /// The error of the system.
        source: io::Error,
    },
    /// The certificate cannot be served.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The directory cannot be used.
    #[error("--dir: {dir}: cannot use the directory; another cache process may use it")]
    Store {
        /// The directory.
        dir: String,
        /// The error of the system.
        source: io::Error,
    },
    /// The TLS library rejects its configuration.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The system has no random numbers.
    #[error("the system provides no random numbers")]
    Random,
    /// The event loop cannot be made, or signals cannot be handled.
    #[error("the process cannot start")]
    Process(#[source] io::Error),
}

/// Runs the cache until SIGTERM or SIGINT. `network` resolves names and has the trusted CAs; its
/// proxies are not used.
pub fn run(config: Config, network: Arc<dyn Network>) -> Result<(), StartError> {
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .map_err(StartError::Process)?;
    let ended = runtime.block_on(serve(config, network));
    runtime.shutdown_background();
    ended
}

async fn serve(config: Config, network: Arc<dyn Network>) -> Result<(), StartError> {
    let listen = config.args.listen.clone();
    let admin_listen = config.args.admin_listen.clone();
    let max_connections = config.args.max_connections;
    let idle = config.args.offline.get().max(ACCEPTED);
    let drain = config.args.drain_spread.get() + FINISH_TIMEOUT;
    let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    let [terminate, interrupt] = signals;
    let mut terminate = terminate.map_err(StartError::Process)?;
    let mut interrupt = interrupt.map_err(StartError::Process)?;

    let certificate = ServedCertificate::read(&config.args.tls_cert, &config.args.tls_key)?;
    let acceptor = TlsAcceptor::from(Arc::new(certificate.config()?));
    let (stage, watched) = watch::channel(Stage::default());
    let metrics = Arc::new(Metrics::default());
    let (changes, changed) = mpsc::channel(MOST_CHANGES);
    let service = service(config, network, &metrics, watched.clone(), changes)?;

    let bind = async |address: String| {
        let bound = listen::bind(&address).await;
        bound.map_err(|source| StartError::Bind { address, source })
    };
    let admin_listener = bind(admin_listen).await?;
    let listener = bind(listen).await?;
    let address = |listener: &tokio::net::TcpListener| {
        listener
            .local_addr()
            .map_or_else(|_| String::new(), |it| it.to_string())
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        endpoint = address(&listener),
        admin = address(&admin_listener),
        "serving the cache"
    );
    tokio::spawn(admin::serve(
        admin_listener,
        Arc::clone(&metrics),
        watched.clone(),
    ));
    tokio::spawn(Arc::clone(&service).prefetch(changed));
    tokio::spawn(keep(
        certificate,
        service.wake_key.clone(),
        service.cas.clone(),
    ));
    tokio::spawn(prune(Arc::clone(&service), idle));
    let followers = Followers {
        service,
        acceptor,
        metrics,
        stage: watched,
        max_connections,
    };
    let mut accepting = tokio::spawn(followers.accept(listener));
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        _ = &mut accepting => {
            tracing::error!(error = "the listener ended", "the cache cannot go on");
            return Ok(());
        }
    };
    tracing::info!(signal = name, "shutting down");
    stage.send_replace(Stage::Draining);
    if timeout(drain, accepting).await.is_err() {
        tracing::warn!("followers were still connected at the end of the shutdown");
    }
    Ok(())
}

fn service(
    config: Config,
    network: Arc<dyn Network>,
    metrics: &Arc<Metrics>,
    stage: watch::Receiver<Stage>,
    changes: mpsc::Sender<crate::refs::table::RefsChange>,
) -> Result<Arc<Service>, StartError> {
    let Config {
        args,
        allowed_hosts,
        networks,
        disk_limit,
        wake_key,
        peers,
        cas,
    } = config;
    let store = Store::open(&args.dir, disk_limit, Arc::clone(metrics));
    let store = Arc::new(store.map_err(|source| StartError::Store {
        dir: args.dir.display().to_string(),
        source,
    })?);
    let registry = Arc::new(Registry::new(args.offline.get()));
    let peers = peers.map(|config| {
        let (network, metrics) = (Arc::clone(&network), Arc::clone(metrics));
        Arc::new(Peers::new(config, network, metrics))
    });
    let network = CheckedNetwork {
        inner: network,
        networks,
    };
    let upstream = Upstream::new(
        network,
        args.ca_file,
        Arc::clone(&registry),
        Arc::clone(metrics),
    );
    let upstream = Arc::new(upstream);
    let refs = RefsTable::new(
        Arc::clone(&upstream),
        Arc::clone(metrics),
        args.period.get(),
        changes,
    );
    let flights = Flights::new(Hangar {
        upstream: Arc::clone(&upstream),
        store: Arc::clone(&store),
        registry: Arc::clone(&registry),
        peers: peers.clone(),
    });
    Ok(Arc::new(Service {
        allowed_hosts,
        identities: IdentityKey::new().map_err(|_| StartError::Random)?,
        registry,
        upstream,
        refs: Arc::new(refs),
        watches: Watches::default(),
        flights,
        peers,
        cas,
        store,
        metrics: Arc::clone(metrics),
        transfers: Arc::new(Semaphore::new(args.max_transfers)),
        stage,
        drain_spread: args.drain_spread.get(),
        wake_key: wake_key.map(Arc::new),
        tables: ServiceTables::default(),
        bodies: Bodies::default(),
    }))
}

/// Uses changed files.
async fn keep(
    certificate: Arc<ServedCertificate>,
    wake_key: Option<Arc<WakeKey>>,
    cas: Option<Arc<ReplicaCas>>,
) {
    let mut ticks = interval(CHECK);
    loop {
        ticks.tick().await;
        match certificate.reload() {
            Ok(true) => tracing::info!("serving the new certificate"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "cannot serve the new certificate"),
        }
        match wake_key.as_ref().map(|key| key.reload()) {
            Some(Ok(true)) => tracing::info!("the key of wake-ups was replaced"),
            None | Some(Ok(false)) => {}
            Some(Err(error)) => tracing::warn!(%error, "the last key of wake-ups stays in use"),
        }
        match cas.as_ref().map(|cas| cas.reload()) {
            Some(Ok(true)) => tracing::info!("the CAs of the replicas were replaced"),
            None | Some(Ok(false)) => {}
            Some(Err(error)) => tracing::warn!(%error, "the last CAs of the replicas stay in use"),
        }
    }
}

/// Forgets what has expired.
async fn prune(service: Arc<Service>, idle: Duration) {
    let mut ticks = interval(PRUNE);
    loop {
        ticks.tick().await;
        service.registry.prune();
        service.refs.prune(idle);
        service.watches.prune();
    }
}
