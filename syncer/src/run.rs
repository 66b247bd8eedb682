//! The process: what happens from its start to its end.

use std::env;
use std::io;
use std::path::Path;
use std::path::PathBuf;
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

use crate::auth;
use crate::auth::AuthError;
use crate::config::Config;
use crate::config::ProcessConfig;
use crate::config::RepoConfig;
#[cfg(debug_assertions)]
use crate::crash;
use crate::error_file::ErrorFile;
use crate::files;
use crate::follow::Common;
use crate::follow::Ended;
use crate::follow::follow;
use crate::git::Git;
use crate::git::GitError;
use crate::health::Health;
use crate::http;
use crate::http::Answers;
use crate::logging;
use crate::metrics::Metrics;
use crate::owner::OwnerError;
use crate::passwd;
use crate::passwd::PasswdError;
use crate::permits::Permits;
use crate::program;
use crate::redact;
use crate::report::Report;
use crate::signals::Signals;
use crate::status;
use crate::sync::chain;
use crate::throttle::Throttle;
use crate::web;
use crate::web::Proxies;

/// Bad configuration, or too many failures: git-sync's code.
pub(crate) const FATAL: u8 = 1;

const CANNOT_START: &str = "FATAL: cannot go on";

/// The default of `--git`; another program may do more than git, or less.
const DEFAULT_GIT: &str = "git";

/// Threads for what cannot be awaited: removing trees, measuring and copying files.
const BLOCKING_THREADS: usize = 16;

/// How long git may take to answer its first question (git-sync's limit for its setup).
const SETUP_TIMEOUT: Duration = Duration::from_secs(30);

/// Why the sync cannot begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Owner(#[from] OwnerError),
    #[error(transparent)]
    Passwd(#[from] PasswdError),
    #[error("the program {0:?} (--git) is not in PATH, or cannot be run")]
    NoGit(String),
    #[error("cannot make {}", .path.display())]
    Make { path: PathBuf, source: io::Error },
    #[error("{} leads out of {}, in which --layout=clone clones", .path.display(), .root.display())]
    Outside { path: PathBuf, root: PathBuf },
    #[error("cannot make a directory for the syncer's own files")]
    Private(#[source] io::Error),
    #[error("cannot serve HTTP")]
    Http(#[source] io::Error),
    #[error("cannot listen to signals")]
    Signals(#[source] io::Error),
    #[error("a part of the syncer ended unexpectedly: {0}")]
    Crash(String),
    #[error("cannot start the event loop")]
    Runtime(#[source] io::Error),
}

/// The umask without `--group-write`.
const OWNER_WRITES: Mode = Mode::S_IWGRP.union(Mode::S_IWOTH);

/// The umask with it.
const OTHERS_READ: Mode = Mode::S_IWOTH;

/// Syncs until told to end; the log begins with the flags.
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
    // A removal that is still running must not hold up the end; the next run goes on with it.
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
            "nothing needs the line of --add-user"
        );
    }
    if let Some(state) = &state
        && let Err(error) = status::announce(state, &repos)
    {
        // Only the probe suffers.
        tracing::error!(
            error = chain(&error),
            "cannot write the list of repositories"
        );
    }
    let mut git = find_git(&process)?;
    let answers = Arc::new(Answers {
        metrics: Metrics::new(),
        health: Health::default(),
        serve_metrics: process.http_metrics,
        serve_pprof: process.http_pprof,
    });
    // All of them, before anyone can ask whether all are ready.
    let told = |repo: RepoConfig| (Report::new(&repo, &answers), Box::new(repo));
    let repos: Vec<_> = repos.into_iter().map(told).collect();
    if let Some(address) = process.http_bind {
        http::serve(address, answers.clone())
            .await
            .map_err(StartError::Http)?;
    }
    git.remove_local_variables(Instant::now() + SETUP_TIMEOUT)
        .await?;
    let common = Common {
        git,
        permits: Permits::new(process.max_git_processes),
        throttle: Throttle::default(),
        polls: process.git == DEFAULT_GIT && !process.no_poller,
        wake: signals.wake(),
    };
    let mut followers = JoinSet::new();
    for (report, repo) in repos {
        let name = repo.name.clone();
        // In a box: the tasks of many repositories are most of the memory, and each wrapper would
        // hold its own room for what it wraps.
        let following = Box::pin(follow(repo, report, common.clone()));
        followers.spawn(async move { logging::about(name.as_deref(), following).await });
    }
    tokio::select! {
        biased;
        name = signals.asked_to_end() => {
            tracing::info!(signal = name, "asked to end, ending");
            Ok(ExitCode::SUCCESS)
        }
        code = all(&mut followers) => code,
    }
}

/// Waits until every repository is done with or given up; one that is given up leaves the others
/// alone, and makes the process's end a failure.
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
