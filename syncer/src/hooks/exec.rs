//! A hook that runs a program: without a shell or arguments, started in the tree.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitStatus;
use std::process::Stdio;
use std::time::Duration;

use nix::errno::Errno;
use tokio::process::Command;
use tokio::time::timeout;

use crate::config::ExecHook;
use crate::git::Hash;
use crate::hooks::revision::Revision;
use crate::redact::redact;
use crate::system::group::Group;
use crate::system::output;
use crate::system::program;

/// Variables that hooks do not inherit: an app's key, and the passwords of other repositories.
const NOT_INHERITED: [&str; 2] = ["GITSYNC_GITHUB_APP_PRIVATE_KEY", "GITSYNC_CONFIG_INLINE"];

/// The number of last bytes of each output that are kept for the log.
const KEPT_OUTPUT: usize = 16 * 1024;

/// How long output is read after the program has ended: a background process may keep the pipe open
/// for ever.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// An error of a program that runs as a hook.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExecError {
    #[error("{0:?} is not an executable file in PATH")]
    NotFound(PathBuf),
    #[error(
        "--{hook}-command: {command:?}: expected one program without arguments: put the command into a script and set the flag to its path"
    )]
    Arguments {
        hook: &'static str,
        command: PathBuf,
    },
    #[error("cannot run {}", .command.display())]
    Run { command: PathBuf, source: io::Error },
    #[error("cannot run {}: {problem}", .command.display())]
    Unusable {
        command: PathBuf,
        problem: &'static str,
    },
    #[error("{}: {status}: {output}", .command.display())]
    Failed {
        command: PathBuf,
        status: ExitStatus,
        output: Output,
    },
    #[error("{}: did not finish within {limit:?}, and was killed: {output}", .command.display())]
    TimedOut {
        command: PathBuf,
        limit: Duration,
        output: Output,
    },
}

/// The last bytes of a program's output.
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

/// The reason why a file does not start, if the system's error is misleading.
fn problem(program: &Path, error: &io::Error) -> Option<&'static str> {
    let text = program.as_os_str().as_encoded_bytes();
    let is_for_shell = text.iter().any(|byte| b"\"'$~*".contains(byte));
    Some(match error.kind() {
        io::ErrorKind::NotFound if program.is_file() => {
            "the interpreter in its #! line does not exist; the line must not end with CR"
        }
        io::ErrorKind::NotFound if is_for_shell => {
            "no such file: the command runs without a shell, so quotes and variables are not expanded"
        }
        io::ErrorKind::PermissionDenied if program.is_dir() => "it is a directory",
        io::ErrorKind::PermissionDenied => "it is not executable: run chmod +x",
        _ if error.raw_os_error() == Some(Errno::ENOEXEC as i32) => {
            "it is neither a binary nor a script with a first line such as #!/bin/sh"
        }
        _ => return None,
    })
}

/// A hook's program.
pub(super) struct Exec {
    name: &'static str,
    command: PathBuf,
    timeout: Duration,
    /// The syncer's own `PATH`.
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

    /// Runs the program in the tree until it ends or its timeout expires.
    pub(super) async fn run(
        &self,
        revision: &Revision,
        old: Option<&Hash>,
    ) -> Result<(), ExecError> {
        tracing::info!(
            logger = self.name,
            hash = %revision.commit,
            command = %self.command.display(),
            timeout = ?self.timeout,
            "running exechook"
        );
        let failed = |source| ExecError::Run {
            command: self.command.clone(),
            source,
        };
        let program = self.program(&revision.dir)?;
        let mut command = Command::new(&program);
        for name in NOT_INHERITED {
            command.env_remove(name);
        }
        let mut child = command
            .current_dir(&revision.dir)
            .envs(revision.environment.iter().cloned())
            .env("PWD", &revision.dir)
            .env("GITSYNC_HASH", revision.commit.as_str())
            .env("GITSYNC_OLD_HASH", old.map_or("", Hash::as_str))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|source| match source.kind() {
                io::ErrorKind::NotFound if self.has_arguments() => self.refuse_arguments(),
                _ => match problem(&program, &source) {
                    Some(problem) => ExecError::Unusable {
                        command: self.command.clone(),
                        problem,
                    },
                    None => failed(source),
                },
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
                        // A process that still holds the output then is not part of the hook.
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
            // It was killed, so it ends at once; its status has no meaning.
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
            hash = %revision.commit,
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

    /// Whether the command seems to contain arguments. A program's name may contain a space, so
    /// only a missing program is refused for it.
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

/// The last bytes of an output, redacted before it is formatted.
fn text(bytes: &[u8]) -> String {
    redact(output::text(bytes, KEPT_OUTPUT).trim())
}
