//! A hook that is a program: no shell, no arguments, started in the tree.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitStatus;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::config::ExecHook;
use crate::git::Hash;
use crate::group::Group;
use crate::hooks::Revision;
use crate::output;
use crate::program;
use crate::redact::redact;

/// Variables that no hook needs: an app's key, and the passwords of other repositories.
const NOT_INHERITED: [&str; 2] = ["GITSYNC_GITHUB_APP_PRIVATE_KEY", "GITSYNC_CONFIG_INLINE"];

/// How much of the end of each output is kept for the log.
const KEPT_OUTPUT: usize = 16 * 1024;

/// How long output is still read after the program's end: it may have left someone in the background
/// who holds the pipe open for ever.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Why a program failed as a hook.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExecError {
    #[error("{0:?} is not an executable file in PATH")]
    NotFound(PathBuf),
    #[error(
        "--{hook}-command: {command:?}: expected one program without arguments: put the command into \
         a script, and name that"
    )]
    Arguments {
        hook: &'static str,
        command: PathBuf,
    },
    #[error("cannot run {}", .command.display())]
    Run { command: PathBuf, source: io::Error },
    #[error("{}: {status}: {output}", .command.display())]
    Failed {
        command: PathBuf,
        status: ExitStatus,
        output: Output,
    },
    #[error("{}: did not end in {limit:?}, and was killed: {output}", .command.display())]
    TimedOut {
        command: PathBuf,
        limit: Duration,
        output: Output,
    },
}

/// The end of what a program wrote.
#[derive(Debug, Default)]
pub(super) struct Output {
    stdout: String,
    stderr: String,
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { stdout, stderr } = self;
        write!(f, "{{ stdout: {stdout:?}, stderr: {stderr:?} }}")
    }
}

/// A program as a hook.
pub(super) struct Exec {
    name: &'static str,
    command: PathBuf,
    timeout: Duration,
    /// Our own `PATH`.
    path: OsString,
}

impl Exec {
    pub(super) fn new(name: &'static str, hook: &ExecHook, path: OsString) -> Self {
        Self {
            name,
            command: hook.command.clone(),
            timeout: hook.timeout,
            path,
        }
    }

    /// Runs the program in the tree, to its end or its time limit.
    pub(super) async fn run(&self, told: &Revision, old: Option<&Hash>) -> Result<(), ExecError> {
        tracing::info!(
            logger = self.name,
            hash = %told.commit,
            command = %self.command.display(),
            timeout = ?self.timeout,
            "running exechook"
        );
        let failed = |source| ExecError::Run {
            command: self.command.clone(),
            source,
        };
        let mut command = Command::new(self.program(&told.dir)?);
        for name in NOT_INHERITED {
            command.env_remove(name);
        }
        let mut child = command
            .current_dir(&told.dir)
            .envs(told.environment.iter().cloned())
            .env("PWD", &told.dir)
            .env("GITSYNC_HASH", told.commit.as_str())
            .env("GITSYNC_OLD_HASH", old.map_or("", Hash::as_str))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|source| match source.kind() {
                io::ErrorKind::NotFound if self.has_arguments() => self.refuse_arguments(),
                _ => failed(source),
            })?;
        let mut group = Group::of(child.id());
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let ended = {
            let (out, err) = (child.stdout.take(), child.stderr.take());
            let mut read = pin!(async {
                let (out, err) = tokio::join!(
                    output::tail(out, KEPT_OUTPUT, &mut stdout),
                    output::tail(err, KEPT_OUTPUT, &mut stderr)
                );
                out.and(err)
            });
            timeout(self.timeout, async {
                tokio::select! {
                    biased;
                    read = &mut read => {
                        read?;
                        child.wait().await
                    }
                    status = child.wait() => {
                        // Whoever still holds the output then is no part of the hook.
                        if let Ok(read) = timeout(LAST_WORDS, &mut read).await {
                            read?;
                        }
                        status
                    }
                }
            })
            .await
        };
        let written = || Output {
            stdout: text(&stdout),
            stderr: text(&stderr),
        };
        let Ok(ended) = ended else {
            group.kill();
            // Killed, so it ends at once; its status says nothing more.
            let _ = child.wait().await;
            return Err(ExecError::TimedOut {
                command: self.command.clone(),
                limit: self.timeout,
                output: written(),
            });
        };
        group.disarm();
        let status = ended.map_err(failed)?;
        let output = written();
        if !status.success() {
            return Err(ExecError::Failed {
                command: self.command.clone(),
                status,
                output,
            });
        }
        tracing::info!(
            v = 1,
            logger = self.name,
            hash = %told.commit,
            stdout = output.stdout,
            stderr = output.stderr,
            "exechook succeeded"
        );
        Ok(())
    }

    fn program(&self, tree: &Path) -> Result<PathBuf, ExecError> {
        program::find(&self.command, tree, &self.path).ok_or_else(|| {
            if self.has_arguments() {
                self.refuse_arguments()
            } else {
                ExecError::NotFound(self.command.clone())
            }
        })
    }

    /// Tells whether the command looks like one with arguments. A program may have a blank in its
    /// name: only one that is not there is refused for it.
    fn has_arguments(&self) -> bool {
        let command = self.command.as_os_str().as_encoded_bytes();
        command.iter().any(u8::is_ascii_whitespace)
    }

    fn refuse_arguments(&self) -> ExecError {
        ExecError::Arguments {
            hook: self.name,
            command: self.command.clone(),
        }
    }
}

/// The end of an output, redacted before anything formats it.
fn text(bytes: &[u8]) -> String {
    redact(output::text(bytes, KEPT_OUTPUT).trim())
}
