//! The demo (`make demo`): the whole product on one machine, without a cluster.
//!
//! All parts of gitvolume are real: the webhook is the real server, the review is what an API
//! server sends, the syncer is the real program with the argv and environment of the patch. The
//! demo replaces the others: the git host (`git_http`), the API server (`review`), the kubelet
//! (`container`) and the app (`site`).

mod args;
mod client;
mod container;
mod git_http;
mod repository;
mod review;
mod show;
mod site;
mod syncer;

use std::future::pending;
use std::io::IsTerminal;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use ::args::GitDuration;
use ::args::RepoUrl;
use anyhow::Context;
use anyhow::bail;
use anyhow::ensure;
use certs::Bundle;
use certs::Names;
use certs::Serving;
use certs::keep_in_memory;
use clap::Parser;
use inject::Settings;

use self::container::Container;
use self::repository::Repository;
use self::show::Show;
use self::site::Site;
use self::syncer::Syncer;
use crate::args::DemoArgs;
use webhook::cluster::known::Known;
use webhook::server;
use webhook::server::Limits;
use webhook::server::Listen;
use webhook::server::Running;
use webhook::server::judge::Injector;
use webhook::shutdown::Signals;

/// Timeout of the first clone; a large repository of the user needs minutes.
const FIRST_CLONE: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    if webhook::install_crypto_provider().is_err() {
        eprintln!("demo: another TLS provider is already installed");
        return ExitCode::FAILURE;
    }
    run(DemoArgs::parse()).map_or_else(
        |error| {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

/// Runs all steps; the error contains the name of the step that failed.
fn run(args: DemoArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        let mut signals = Signals::new().context("cannot install signal handlers")?;
        let show = Show::new();
        let mut following = false;
        let done = tokio::select! {
            done = demo(args, &show, &mut following) => Some(done),
            _ = signals.next() => None,
        };
        // Drop has stopped and removed everything by now.
        show.note("everything is stopped and removed");
        match done {
            Some(done) => done.with_context(|| show.failed_step()),
            None if following => Ok(()),
            None => bail!("interrupted"),
        }
    })
}

async fn demo(args: DemoArgs, show: &Show, following: &mut bool) -> anyhow::Result<()> {
    let DemoArgs {
        syncer,
        example,
        repo,
        ci,
    } = args;
    let stays = std::io::stdout().is_terminal() && matches!(ci.as_str(), "" | "0" | "false");

    show.begin("find git and the syncer");
    let program = prerequisites(&syncer)?;
    let example_text = std::fs::read_to_string(&example)
        .with_context(|| format!("cannot read --example {}", example.display()))?;
    // Declared first, so that it is dropped last, after all writers below it have ended.
    let world = tempfile::Builder::new()
        .prefix("gitvolume-demo-")
        .tempdir()?;
    show.done("git and the syncer are available");

    let (url, repository) = origin(show, world.path(), repo).await?;

    show.begin("start the webhook");
    let (webhook, trusted) = webhook().await?;
    show.done(&format!(
        "the webhook answers on https://{} with a certificate from its own CA",
        webhook.address()
    ));

    show.begin("send the Pod to the webhook");
    let pod = review::read_pod(&example_text, &url)
        .with_context(|| format!("--example {}", example.display()))?;
    let answer = client::post(webhook.address(), &trusted, &review::of(&pod)).await?;
    let patched = review::apply(&pod, &answer)?;
    show.done(&format!(
        "the AdmissionReview of {} is answered; the patch changes the Pod as follows",
        example.display()
    ));
    show.diff(&example, &review::yaml(&pod)?, &review::yaml(&patched)?);

    show.begin("start the injected container");
    let container = Container::injected(&patched, &world.path().join("volumes"), &program)?;
    for (inside, outside) in container.mapping() {
        show.note(&format!("{inside}  is  {}", outside.display()));
    }
    let mut syncer = Syncer::start(&container, show)?;
    show.done(&format!(
        "{} runs with the argv and env of the patch",
        program.display()
    ));

    show.begin("wait for the startup probe, which holds back the app");
    until_started(&container, &mut syncer).await?;
    show.done("the startup probe succeeds: a complete tree is published");

    show.begin("serve the files as the app would");
    let (mount_path, directory) = container.app_mount(&patched)?;
    let site = Site::serve(directory).await?;
    let mut page = site.page().await?;
    show.done(&format!(
        "http://{}/ serves the files that the app sees at {mount_path}",
        site.address()
    ));
    show.page(&page);

    if let Some(repository) = &repository {
        let period = container.period()?;
        show.begin("make a commit and wait for the page to change");
        let commit = repository.commit_page("This page changed without a restart.")?;
        let begun = Instant::now();
        page = changed(&site, &page, &mut syncer, period).await?;
        show.done(&format!(
            "commit {commit} is on the page after {:.1} s (the period is {period})",
            begun.elapsed().as_secs_f64()
        ));
        show.page(&page);
    }
    if !stays {
        return Ok(());
    }

    *following = true;
    show.begin("follow");
    if let Some(repository) = &repository {
        show.note(&format!("commit to it: {}", repository.how_to_commit()));
    }
    show.note(&format!(
        "open http://{}/; press Ctrl-C to stop and clean up",
        site.address()
    ));
    loop {
        page = changed(
            &site,
            &page,
            &mut syncer,
            GitDuration::from_secs(u32::MAX.into()),
        )
        .await?;
        show.done("the page changed");
        show.page(&page);
    }
}

fn prerequisites(syncer: &Path) -> anyhow::Result<PathBuf> {
    repository::git_version().context("the demo needs git: install it and add it to PATH")?;
    ensure!(
        syncer.is_file(),
        "--syncer {}: there is no such program; `make dist` builds it",
        syncer.display()
    );
    Ok(syncer.canonicalize()?)
}

/// The repository to follow: the user's, or a new one behind our git host.
async fn origin(
    show: &Show,
    world: &Path,
    repo: Option<RepoUrl>,
) -> anyhow::Result<(String, Option<Repository>)> {
    if let Some(repo) = repo {
        show.begin("use the given repository");
        show.done(&format!("the repository is {repo}; the demo only reads it"));
        return Ok((repo.reveal().to_owned(), None));
    }
    show.begin("create a repository");
    let repository = Repository::create(world)?;
    let address = git_http::serve(repository.host_root().to_owned()).await?;
    let url = format!("http://{address}/{}", Repository::NAME);
    show.done(&format!("a new repository is served at {url}"));
    Ok((url, Some(repository)))
}

async fn webhook() -> anyhow::Result<(Running, Bundle)> {
    let listen: Listen = "127.0.0.1:0".parse()?;
    let config = server::Config {
        listen,
        admin_listen: listen,
        limits: Limits::default(),
    };
    let bundle = Bundle::generate(SystemTime::now())?;
    let trusted = Bundle::from_pem(bundle.pem(), &bundle.key_pem())?;
    let serving = Serving::new();
    let keep = keep_in_memory(Arc::clone(&serving), bundle, Names::local())?;
    tokio::spawn(keep);
    let image = format!(
        "gitvolume.dev/gitvolume-syncer:{}",
        env!("CARGO_PKG_VERSION")
    );
    let known = Known::only(Settings::new(image));
    let injector = Injector::new(known.clone());
    let running = server::start(config, serving, known, Arc::new(injector)).await?;
    Ok((running, trusted))
}

async fn until_started(container: &Container, syncer: &mut Syncer) -> anyhow::Result<()> {
    let begun = Instant::now();
    let every = Duration::from_millis(200);
    loop {
        syncer.still_runs()?;
        let refusal = match container.probe().await? {
            Ok(()) => return Ok(()),
            Err(refusal) => refusal,
        };
        if begun.elapsed() > FIRST_CLONE {
            bail!("the first clone takes too long; the startup probe reports: {refusal}");
        }
        tokio::time::sleep(every).await;
    }
}

/// Waits until the page changes; the timeout is one period and one pass.
async fn changed(
    site: &Site,
    before: &str,
    syncer: &mut Syncer,
    period: GitDuration,
) -> anyhow::Result<String> {
    let changes = async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            syncer.still_runs()?;
            let page = site.page().await?;
            if page != before {
                return Ok(page);
            }
        }
    };
    // A second for the passes themselves, and jitter of up to a fifth of the period.
    let patience = period.get().mul_f64(1.2) + Duration::from_secs(20);
    tokio::select! {
        page = changes => page,
        () = sleep_if_finite(patience) => bail!("the page did not change within {patience:?}"),
    }
}

async fn sleep_if_finite(time: Duration) {
    // Following never ends, but tokio's timers have a maximum.
    if time > Duration::from_secs(365 * 24 * 60 * 60) {
        pending::<()>().await;
    }
    tokio::time::sleep(time).await;
}
