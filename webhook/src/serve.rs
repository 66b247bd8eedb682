//! Start and shutdown of the program `gitvolume-webhook`.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;
use anyhow::bail;
use certs::Serving;
use inject::Kind;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::args::ServeArgs;
use crate::cluster::known::Known;
use crate::cluster::namespaces;
use crate::cluster::namespaces::Namespaces;
use crate::cluster::objects;
use crate::cluster::registration;
use crate::logging;
use crate::server;
use crate::server::Running;
use crate::server::judge::Injector;
use crate::server::limits::Limits;
use crate::settings;
use crate::settings::current::Current;
use crate::shutdown::Signals;

/// Number of runtime threads. An answer takes 0.1 ms, so one thread serves thousands of calls per
/// second. A second thread would be woken for calls that the first one finishes sooner: at 400
/// calls per second it costs 11 % more CPU per call (`make bench PART=webhook`).
const WORKERS: usize = 1;

/// Serves until a signal arrives, then drains.
pub fn run(args: ServeArgs) -> anyhow::Result<()> {
    let runtime = runtime().context("cannot start the runtime")?;
    runtime.block_on(serve(args))
}

/// The tokio runtime of the process.
pub fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
}

async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    // Destructured without `..`: an unused flag is a compile error.
    let ServeArgs {
        listen,
        admin_listen,
        tls,
        namespace,
        watch_namespaces,
        watch_objects,
        settings: settings_args,
        drain_delay,
        max_connection_age,
        log,
        log_format,
    } = args;
    logging::init(&log, log_format).context("--log")?;
    let settings = settings_args.clone().load()?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        syncer_image = settings.image,
        settings = settings.hash(),
        "starting"
    );
    // Before serving starts, so that an early signal drains too.
    let mut signals = Signals::new().context("cannot install signal handlers")?;

    let client = match tls.needs_cluster() || watch_namespaces || watch_objects {
        true => Some(client().await?),
        false => None,
    };
    let registration = tls.webhook_configuration.clone();
    let serving = Serving::new();
    let keep = tls.keep(namespace.as_deref(), client.clone(), Arc::clone(&serving))?;
    let keeping = tokio::spawn(async { match keep.await {} });
    let (namespaces, watching) = match &client {
        Some(client) if watch_objects => {
            let namespaces = Namespaces::with_objects();
            let watching = watch_all(Arc::clone(&namespaces), registration, client);
            (namespaces, watching)
        }
        Some(client) if watch_namespaces => {
            let namespaces = Namespaces::watched();
            let watch = namespaces::watch::watch(Arc::clone(&namespaces), client.clone());
            (namespaces, tokio::spawn(async { match watch.await {} }))
        }
        Some(_) | None => (Namespaces::unwatched(), tokio::spawn(pending())),
    };
    let config = server::Config {
        listen,
        admin_listen,
        limits: Limits {
            age: max_connection_age.get(),
            ..Limits::default()
        },
    };
    let settings = Current::new(settings);
    let renew = settings::current::keep(
        Arc::clone(&settings),
        settings_args,
        settings::current::PERIOD,
    );
    let renewing = tokio::spawn(async { match renew.await {} });
    let known = Known {
        settings,
        namespaces,
    };
    let telling = match client.filter(|_| watch_objects) {
        None => tokio::spawn(pending()),
        Some(client) => {
            let telling = objects::status::keep_told(known.clone(), client);
            tokio::spawn(async { match telling.await {} })
        }
    };
    let injector = Arc::new(Injector::new(known.clone()));
    let mut running = server::start(config, serving, known, injector).await?;
    tokio::select! {
        signal = signals.next() => tracing::info!(signal, %drain_delay, "draining"),
        () = running.ended() => bail!("a listener stopped unexpectedly"),
        error = died(keeping) => bail!("the certificate renewal stopped unexpectedly: {error}"),
        error = died(renewing) => bail!("the reload of settings stopped unexpectedly: {error}"),
        error = died(watching) => bail!("the watch of the cluster stopped unexpectedly: {error}"),
        error = died(telling) => bail!("the status writer stopped unexpectedly: {error}"),
    }
    drain(running, drain_delay.get(), signals).await;
    Ok(())
}

/// Keeps namespaces, objects and the registration's entry current; never returns.
fn watch_all(
    namespaces: Arc<Namespaces>,
    registration: String,
    client: &kube::Client,
) -> JoinHandle<()> {
    let objects = |kind| objects::watch(Arc::clone(&namespaces), kind, client.clone());
    let (own, cluster) = (objects(Kind::GitVolume), objects(Kind::ClusterGitVolume));
    let labels = namespaces::watch::watch(Arc::clone(&namespaces), client.clone());
    let registration = registration::watch(Arc::clone(&namespaces), registration, client.clone());
    tokio::spawn(async {
        let (never, _, _, _) = tokio::join!(labels, own, cluster, registration);
        match never {}
    })
}

/// The client of the cluster: from the Pod's service account, or from a kubeconfig.
async fn client() -> anyhow::Result<kube::Client> {
    // Without the sources: kube's messages already contain those of their causes.
    let config = kube::Config::infer().await;
    let mut config = config.map_err(|error| anyhow!("cannot access the cluster: {error}"))?;
    config.read_timeout = Some(namespaces::SILENCE);
    // Callers retry and log it themselves.
    config.default_retry = false;
    kube::Client::try_from(config).map_err(|error| anyhow!("cannot access the cluster: {error}"))
}

async fn drain(running: Running, delay: Duration, mut signals: Signals) {
    let drained = async {
        running.leave();
        running.left_alone(delay).await;
        running.stop().await;
        tracing::info!("drained");
    };
    tokio::select! {
        () = drained => {}
        signal = signals.next() => tracing::warn!(signal, "exiting immediately"),
    }
}

/// Waits for a task that should never end, and returns its error.
async fn died(task: JoinHandle<()>) -> tokio::task::JoinError {
    match task.await {
        Err(error) => error,
        Ok(()) => pending().await,
    }
}
