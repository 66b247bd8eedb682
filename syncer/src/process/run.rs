//! The process from start to end.

use std::convert::Infallible;
use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use args::RepoKind;
use nix::sys::stat::Mode;
use nix::sys::stat::umask;
use nix::unistd::Gid;
use nix::unistd::Uid;
use tokio::runtime;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::config::Config;
use crate::config::ProcessConfig;
use crate::config::RepoConfig;
use crate::error::chain;
use crate::git::Git;
use crate::git::permits::Permits;
use crate::observe::error_file::ErrorFile;
use crate::observe::health::Health;
use crate::observe::http;
use crate::observe::http::Answers;
use crate::observe::logging;
use crate::observe::metrics::Metrics;
use crate::observe::push::PushEndpoint;
use crate::observe::report::Report;
use crate::redact;
use crate::remote::auth;
use crate::remote::throttle::Throttle;
use crate::remote::web;
use crate::remote::web::Proxies;
use crate::repo::context::SharedContext;
use crate::repo::status::List;
use crate::schedule::ended::Ended;
use crate::schedule::follow::follow;
use crate::schedule::start_error::StartError;
#[cfg(debug_assertions)]
use crate::system::crash;
use crate::system::files;
use crate::system::passwd;
use crate::system::program;
use crate::system::signals::Signals;

/// The exit status for an invalid configuration or too many failures, as in git-sync.
pub(crate) const FATAL: u8 = 1;

const CANNOT_START: &str = "FATAL: cannot continue";

/// The default of `--git`; another program may behave differently.
const DEFAULT_GIT: &str = "git";

/// The number of threads for blocking work: removing trees, measuring and copying files.
const BLOCKING_THREADS: usize = 16;

/// The timeout of the first git command (git-sync's limit for its setup).
const SETUP_TIMEOUT: Duration = Duration::from_secs(30);

/// The umask without `--group-write`.
const OWNER_WRITES: Mode = Mode::S_IWGRP.union(Mode::S_IWOTH);

/// The umask with it.
const OTHERS_READ: Mode = Mode::S_IWOTH;

/// Syncs until a signal ends the process; the log starts with the flags.
pub(crate) fn sync(config: Config, flags: &[String]) -> Result<ExitCode, StartError> {
    umask(if config.process.group_write {
        OTHERS_READ
    } else {
        OWNER_WRITES
    });
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .map_err(StartError::Runtime)?;
    let error_files: Vec<ErrorFile> = config
        .repos
        .iter()
        .map(|repo| ErrorFile::new(&repo.root, repo.error_file.as_deref()))
        .collect();
    files::this_is_the_event_loop();
    let code = runtime.block_on(run(config, flags));
    // A removal that is still running must not delay the end; the next run continues it.
    runtime.shutdown_background();
    Ok(code.unwrap_or_else(|error| {
        let error = redact::redact(&chain(&error));
        tracing::error!(error, "{CANNOT_START}");
        for file in error_files {
            file.write(CANNOT_START, &error, &[]);
        }
        ExitCode::from(FATAL)
    }))
}

async fn run(config: Config, flags: &[String]) -> Result<ExitCode, StartError> {
    let Config {
        process,
        repos,
        state,
    } = config;
    #[cfg(debug_assertions)]
    crash::arm(process.environment.crash_at);
    let mut signals = Signals::listen(process.sync_on_signal).map_err(StartError::Signals)?;
    let home = process.environment.home.clone().unwrap_or_default();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        uid = Uid::current().as_raw(),
        gid = Gid::current().as_raw(),
        home = %home.display(),
        ?flags,
        "starting up"
    );
    web::set_proxies(Proxies::of(&process.environment));
    if process.add_user
        && let Err(error) = passwd::add_us(&home)
    {
        let has_ssh = repos.iter().any(|repo| repo.repo.kind == RepoKind::Ssh);
        if has_ssh && auth::nss_wrapper(&process.environment).is_none() {
            return Err(error.into());
        }
        tracing::info!(
            v = 0,
            reason = chain(&error),
            "--add-user failed, but the passwd entry is not needed"
        );
    }
    let announced = state.as_deref().map(|state| List::announce(state, &repos));
    let list = announced.transpose().unwrap_or_else(|error| {
        // Only the probe is affected.
        tracing::error!(
            error = chain(&error),
            "cannot write the list of repositories"
        );
        None
    });
    let mut git = find_git(&process)?;
    let wakes: Vec<_> = repos.iter().map(|_| signals.wake()).collect();
    let push = match &process.push_secret_file {
        None => None,
        Some(file) => {
            let addresses = repos.iter().map(|repo| repo.repo.url.as_str());
            let endpoint = PushEndpoint::new(file, addresses.zip(wakes.iter().cloned()));
            Some(endpoint.ok_or(StartError::Random)?)
        }
    };
    let answers = Arc::new(Answers {
        metrics: Metrics::new(),
        health: Health::default(),
        serve_metrics: process.http_metrics,
        serve_pprof: process.http_pprof,
        push,
    });
    // All of them, before a request can ask whether all are ready.
    let with_report = |repo: RepoConfig| (Report::new(&repo, &answers), Box::new(repo));
    let repos: Vec<_> = repos.into_iter().map(with_report).collect();
    if let Some(address) = process.http_bind {
        http::serve(address, answers.clone())
            .await
            .map_err(StartError::Http)?;
    }
    git.remove_local_variables(Instant::now() + SETUP_TIMEOUT)
        .await?;
    let common = SharedContext {
        git,
        permits: Permits::new(process.max_git_processes),
        throttle: Throttle::default(),
        polls: process.git == DEFAULT_GIT && !process.no_poller,
    };
    let mut followers = JoinSet::new();
    for ((report, repo), wake) in repos.into_iter().zip(wakes) {
        let name = repo.name.clone();
        // Boxed: the tasks of many repositories are most of the memory, and each wrapper would
        // reserve the space of its content again.
        let following = Box::pin(follow(repo, report, common.clone(), wake.subscribe()));
        followers.spawn(async move { logging::about(name.as_deref(), following).await });
    }
    let endpoint = answers.clone();
    tokio::select! {
        biased;
        name = signals.asked_to_end() => {
            tracing::info!(signal = name, "shutting down");
            Ok(ExitCode::SUCCESS)
        }
        code = all(&mut followers) => code,
        never = keep(list.flatten()) => match never {},
        never = endpoint.wake_pushed() => match never {},
    }
}

/// Maintains the list that `probe` reads, if there is one; never returns.
async fn keep(list: Option<List>) -> Infallible {
    match list {
        Some(list) => list.keep().await,
        None => std::future::pending().await,
    }
}

/// Waits until every repository has ended. One that has failed too often does not stop the others,
/// but makes the process's exit status a failure.
async fn all(followers: &mut JoinSet<Ended>) -> Result<ExitCode, StartError> {
    let mut code = ExitCode::SUCCESS;
    while let Some(ended) = followers.join_next().await {
        match ended.map_err(|error| StartError::Crash(error.to_string()))? {
            Ended::Done => {}
            Ended::GaveUp => code = ExitCode::from(FATAL),
            Ended::NotStarted(error) => return Err(error),
        }
    }
    Ok(code)
}

fn find_git(config: &ProcessConfig) -> Result<Git, StartError> {
    let path = config.environment.path.clone().unwrap_or_default();
    let here = env::current_dir().unwrap_or_default();
    let program = program::find(Path::new(&config.git), &here, &path);
    let program = program.filter(|program| program::is_executable(program));
    program
        .map(Git::new)
        .ok_or_else(|| StartError::NoGit(config.git.clone()))
}
