//! The loop: what happens from the start of a sync to its end.

use std::env;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use args::SyncArgs;
use nix::sys::signal::SigSet;
use nix::sys::stat::Mode;
use nix::sys::stat::umask;
use nix::unistd::Gid;
use nix::unistd::Uid;
use tokio::runtime;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::time::Instant;

use crate::auth::AuthError;
use crate::auth::Stamp;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::Environment;
use crate::config::LayoutConfig;
use crate::git::Git;
use crate::git::GitError;
use crate::http;
use crate::http::Answers;
use crate::logging;
use crate::metrics::Ending;
use crate::metrics::Metrics;
use crate::owner::Owned;
use crate::owner::OwnerError;
use crate::pace::Pace;
use crate::private::Private;
use crate::redact;
use crate::sync::Sync;
use crate::sync::chain;

/// Bad configuration, or too many failures: git-sync's code.
pub(crate) const FATAL: u8 = 1;

/// How often a failing syncer looks whether its Secret was changed; a few `stat` calls each.
const SECRET_CHECK: Duration = Duration::from_secs(1);

/// Why the sync cannot begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Owner(#[from] OwnerError),
    #[error("the program git is not in PATH")]
    NoGit,
    #[error("cannot make {}", .path.display())]
    Make { path: PathBuf, source: io::Error },
    #[error("cannot make a directory for the syncer's own files")]
    Private(#[source] io::Error),
    #[error("cannot serve HTTP")]
    Http(#[source] io::Error),
    #[error("cannot listen to signals")]
    Signals(#[source] io::Error),
    #[error("cannot start the event loop")]
    Runtime(#[source] io::Error),
}

/// Syncs until told to end.
pub(crate) fn sync(args: SyncArgs) -> Result<ExitCode, StartError> {
    let config = Config::new(args, Environment::of_process())?;
    logging::init(config.verbose);
    umask(Mode::from_bits_truncate(0o022));
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(StartError::Runtime)?;
    let code = runtime.block_on(run(config));
    // A removal that is still running must not hold up the end; the next run goes on with it.
    runtime.shutdown_background();
    code
}

async fn run(mut config: Config) -> Result<ExitCode, StartError> {
    let mut stop = Stop::listen().map_err(StartError::Signals)?;
    if let Some(credentials) = &config.repo.credentials {
        redact::hide(&credentials.password);
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        uid = Uid::current().as_raw(),
        gid = Gid::current().as_raw(),
        home = %config.environment.home.as_deref().unwrap_or_default().display(),
        repo = %config.repo.url,
        "ref" = %config.rev,
        root = %config.root.display(),
        "starting up"
    );
    let git = find_git(&config)?;
    config.root = real_dir(&config.root)?;
    if let LayoutConfig::Link { link } = &mut config.layout {
        // The link's target is relative, so the way to it must be free of symlinks.
        *link = config.root.join(&*link);
        if let (Some(dir), Some(name)) = (link.parent(), link.file_name()) {
            *link = real_dir(dir)?.join(name);
        }
    }
    let mut owned = vec![Owned::take(&config.root)?];
    if let Some(state) = &config.state {
        real_dir(state)?;
        owned.push(Owned::take(state)?);
    }
    let private = Private::open(&config).map_err(StartError::Private)?;
    let answers = Arc::new(Answers {
        metrics: Metrics::new(),
        is_ready: AtomicBool::new(false),
    });
    if let Some(address) = config.http_bind {
        http::serve(address, answers.clone())
            .await
            .map_err(StartError::Http)?;
    }
    let limits = Limits {
        pace: Pace::new(config.period),
        one_time: config.one_time,
        max_failures: config.max_failures,
    };
    let deadline = Instant::now() + config.sync_timeout;
    let mut sync = Sync::new(config, private, git)?;
    tokio::select! {
        biased;
        name = stop.asked() => {
            tracing::info!(signal = name, "asked to end, ending");
            Ok(ExitCode::SUCCESS)
        }
        code = async {
            sync.remove_local_variables(deadline).await?;
            Ok(follow(&mut sync, limits, &answers).await)
        } => code,
    }
}

struct Limits {
    pace: Pace,
    one_time: bool,
    max_failures: i64,
}

/// Passes, and waits between them, until a limit is reached.
async fn follow(sync: &mut Sync, mut limits: Limits, answers: &Answers) -> ExitCode {
    let mut failures: i64 = 0;
    let mut is_first = true;
    loop {
        let started = Instant::now();
        let secret = sync.secret_stamp();
        let outcome = sync.once().await;
        let error = outcome
            .as_ref()
            .err()
            .map(|error| redact::redact(&chain(error)));
        if let Err(error) = sync.status.ended(error.clone()) {
            tracing::error!(
                error = chain(&error),
                "cannot write the state for the probe"
            );
        }
        let wait = match (outcome, error) {
            (Ok(outcome), _) => {
                failures = 0;
                let ending = if is_first {
                    Ending::success
                } else {
                    outcome.into()
                };
                answers.metrics.count_sync(ending, started.elapsed());
                if ending == Ending::success {
                    answers.metrics.count_fetch();
                }
                answers.is_ready.store(true, Ordering::Relaxed);
                is_first = false;
                if limits.one_time {
                    return ExitCode::SUCCESS;
                }
                limits.pace.after_success()
            }
            (Err(_), error) => {
                failures += 1;
                answers.metrics.count_sync(Ending::error, started.elapsed());
                let error = error.unwrap_or_default();
                if limits.max_failures >= 0 && failures >= limits.max_failures {
                    tracing::error!(error, failCount = failures, "too many failures, aborting");
                    return ExitCode::from(FATAL);
                }
                let wait = limits.pace.after_failure();
                tracing::error!(
                    error,
                    failCount = failures,
                    waitTime = ?wait,
                    "error syncing repo, will retry"
                );
                wait
            }
        };
        tracing::info!(v = 3, waitTime = ?wait, "next sync");
        if failures == 0 {
            tokio::time::sleep(wait).await;
        } else {
            sleep_unless_mended(sync, &secret, wait).await;
        }
    }
}

/// Waits after a failure; a Secret that is changed meanwhile may be what was missing.
async fn sleep_unless_mended(sync: &Sync, secret: &Stamp, wait: Duration) {
    let end = Instant::now() + wait;
    while Instant::now() < end && sync.secret_stamp() == *secret {
        tokio::time::sleep_until(end.min(Instant::now() + SECRET_CHECK)).await;
    }
}

/// The signals that end the program.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn listen() -> io::Result<Self> {
        let stop = Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        };
        // Process 1 has them blocked, and a child inherits that; a signal that came before now is
        // not lost but delivered here.
        SigSet::empty().thread_set_mask()?;
        Ok(stop)
    }

    async fn asked(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

fn find_git(config: &Config) -> Result<Git, StartError> {
    let path = config.environment.path.clone().unwrap_or_default();
    let program = env::split_paths(&path)
        .map(|dir| dir.join("git"))
        .find(|program| program.is_file())
        .ok_or(StartError::NoGit)?;
    Ok(Git::new(program))
}

/// Makes a directory if it is not there, and gives its path without symlinks.
fn real_dir(path: &Path) -> Result<PathBuf, StartError> {
    let made = fs::create_dir_all(path).and_then(|()| fs::canonicalize(path));
    made.map_err(|source| StartError::Make {
        path: path.to_owned(),
        source,
    })
}
