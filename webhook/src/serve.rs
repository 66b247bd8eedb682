//! `gitvolume serve`: everything put together, and its orderly end.

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
use crate::judge::Injector;
use crate::known::Known;
use crate::logging;
use crate::namespaces;
use crate::namespaces::Namespaces;
use crate::objects;
use crate::registration;
use crate::server;
use crate::server::Limits;
use crate::server::Running;
use crate::settings;
use crate::settings::Current;
use crate::shutdown::Signals;

/// An answer takes a tenth of a millisecond, so one thread serves thousands of calls per second. A
/// second one is woken for calls that the first would have been done with: at 400 a second that is
/// 11 % more CPU for each (`make bench PART=webhook`).
const WORKERS: usize = 1;

/// Serves until a signal, then drains.
pub fn run(args: ServeArgs) -> anyhow::Result<()> {
    let runtime = runtime().context("cannot start the runtime")?;
    runtime.block_on(serve(args))
}

/// What everything runs on.
pub fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
}

async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    // Taken apart without `..`: a flag that nobody uses does not compile.
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
    // Before anything is served: a signal that comes early is a drain too.
    let mut signals = Signals::new().context("cannot take signals")?;

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
            let watch = namespaces::watch(Arc::clone(&namespaces), client.clone());
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
    let renew = settings::keep(Arc::clone(&settings), settings_args, settings::PERIOD);
    let renewing = tokio::spawn(async { match renew.await {} });
    let known = Known {
        settings,
        namespaces,
    };
    let telling = match client.filter(|_| watch_objects) {
        None => tokio::spawn(pending()),
        Some(client) => {
            let telling = objects::keep_told(known.clone(), client);
            tokio::spawn(async { match telling.await {} })
        }
    };
    let injector = Arc::new(Injector::new(known.clone()));
    let mut running = server::start(config, serving, known, injector).await?;
    tokio::select! {
        signal = signals.next() => tracing::info!(signal, %drain_delay, "draining"),
        () = running.ended() => bail!("a listener ended by itself"),
        error = died(keeping) => bail!("the keeping of certificates ended by itself: {error}"),
        error = died(renewing) => bail!("the reload of settings ended by itself: {error}"),
        error = died(watching) => bail!("the watch of the cluster ended by itself: {error}"),
        error = died(telling) => bail!("the telling of objects ended by itself: {error}"),
    }
    drain(running, drain_delay.get(), signals).await;
    Ok(())
}

/// Keeps namespaces, objects and what is known of the registration current, for ever.
fn watch_all(
    namespaces: Arc<Namespaces>,
    registration: String,
    client: &kube::Client,
) -> JoinHandle<()> {
    let objects = |kind| objects::watch(Arc::clone(&namespaces), kind, client.clone());
    let (own, cluster) = (objects(Kind::GitVolume), objects(Kind::ClusterGitVolume));
    let labels = namespaces::watch(Arc::clone(&namespaces), client.clone());
    let registration = registration::watch(Arc::clone(&namespaces), registration, client.clone());
    tokio::spawn(async {
        let (never, _, _, _) = tokio::join!(labels, own, cluster, registration);
        match never {}
    })
}

/// The cluster that we run in, or that a kubeconfig names.
async fn client() -> anyhow::Result<kube::Client> {
    // The texts alone: kube's errors repeat their causes in them.
    let config = kube::Config::infer().await;
    let mut config = config.map_err(|error| anyhow!("no access to a cluster: {error}"))?;
    config.read_timeout = Some(namespaces::SILENCE);
    // Whoever calls tries again by itself, and says so.
    config.default_retry = false;
    kube::Client::try_from(config).map_err(|error| anyhow!("no access to a cluster: {error}"))
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
        signal = signals.next() => tracing::warn!(signal, "ending at once"),
    }
}

/// Waits for a task that should run for ever, and says why it does not.
async fn died(task: JoinHandle<()>) -> tokio::task::JoinError {
    match task.await {
        Err(error) => error,
        Ok(()) => pending().await,
    }
}
