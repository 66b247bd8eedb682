//! One run of the git program.
//!
//! - The command line is always `git SUBCOMMAND …`, never an option first: users' `--git` wrappers
//!   read the first argument.
//! - Only git's own list of repository-local variables is removed from the environment; the user's
//!   other variables (proxies, `GIT_TRACE`, …) pass through.
//! - Each command has its own process group and a hard deadline, so that no transport helper or ssh
//!   outlives it; it never reads from a terminal.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::process::Stdio;
use std::sync::Arc;

use args::MASK;
use args::secret_variables;
use tokio::process::Command;
use tokio::time::Instant;

use crate::git::failure;
use crate::git::failure::FailureCause;
use crate::redact::redact;
use crate::system::crash;
use crate::system::group::Group;
use crate::system::output;

/// The number of last bytes of standard error that are kept: a server may send it without end.
const KEPT_STDERR: usize = 64 << 10;

/// The limit for standard output in bytes, for a command that does not list files.
const LONGEST_ANSWER: u64 = 4 << 20;

/// The same for a command that lists files: enough for some millions of them.
const LONGEST_LIST: u64 = 256 << 20;

/// The variables of git that hooks get as well; the others serve the parsing of git's output.
const OF_HOOKS: [&str; 6] = [
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
    "HOME",
    "TMPDIR",
];

/// An error of a git command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GitError {
    #[error("cannot run {program}")]
    Spawn { program: String, source: io::Error },
    #[error("{}", failed_sentence(.why.as_ref(), .command, .detail))]
    Failed {
        command: String,
        /// The exit status.
        code: Option<i32>,
        why: Option<FailureCause>,
        detail: String,
    },
    #[error("{command}: was killed by signal {signal}")]
    Killed { command: String, signal: i32 },
    #[error("{command}: did not finish within --sync-timeout and was killed")]
    TimedOut { command: String },
    #[error("{command}: wrote more than {limit} bytes to standard output, and was killed")]
    TooLong { command: String, limit: u64 },
    #[error("{command}: answered {answer:?}, which the syncer cannot parse")]
    Unexpected { command: String, answer: String },
}

impl GitError {
    /// The error for an answer that cannot be parsed.
    pub(super) fn unexpected(command: &str, answer: String) -> Self {
        let command = command.to_owned();
        Self::Unexpected { command, answer }
    }

    /// The cause, if git's message is known.
    pub(crate) fn why(&self) -> Option<FailureCause> {
        match self {
            Self::Failed { why, .. } => *why,
            _ => None,
        }
    }
}

fn failed_sentence(why: Option<&FailureCause>, command: &str, detail: &str) -> String {
    match why {
        Some(why) => format!("{why} ({command}: {detail})"),
        None => format!("{command}: {detail}"),
    }
}

/// The git program with the settings that all its commands share.
#[derive(Clone, Debug)]
pub(crate) struct Git {
    program: PathBuf,
    set: BTreeMap<OsString, OsString>,
    /// Shared by all repositories of the process.
    removed: Arc<Vec<OsString>>,
}

impl Git {
    /// Configures the program without running it.
    pub(crate) fn new(program: PathBuf) -> Self {
        let mut git = Self {
            program,
            set: BTreeMap::new(),
            // They may contain a password, which is for the credential helper alone.
            removed: Arc::new(secret_variables().map(OsString::from).collect()),
        };
        git.set("GIT_CONFIG_NOSYSTEM", "true");
        git.set("GIT_TERMINAL_PROMPT", "0");
        // The syncer parses git's messages, so they must be in English.
        git.set("LC_ALL", "C");
        git
    }

    /// Sets a variable for all later commands.
    pub(crate) fn set(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.set.insert(name.into(), value.as_ref().to_owned());
    }

    /// Removes a variable of the process from all later commands.
    pub(crate) fn remove(&mut self, name: &str) {
        self.set.remove(OsStr::new(name));
        Arc::make_mut(&mut self.removed).push(name.into());
    }

    /// The value of a variable that is set for all commands.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        Some(self.set.get(OsStr::new(name))?)
    }

    /// The variables that give a hook's own git commands the syncer's configuration and
    /// credentials.
    pub(crate) fn environment_of_hooks(&self) -> Vec<(OsString, OsString)> {
        let is_for_hooks = |name: &OsString| OF_HOOKS.iter().any(|known| name == known);
        let set = self.set.iter().filter(|(name, _)| is_for_hooks(name));
        set.map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Asks git for its repository-local variables and removes them from all later commands.
    pub(crate) async fn remove_local_variables(
        &mut self,
        deadline: Instant,
    ) -> Result<(), GitError> {
        let list = self.command("rev-parse", deadline).arg("--local-env-vars");
        let listed = list.run().await?;
        Arc::make_mut(&mut self.removed).extend(listed.lines().map(|name| name.trim().into()));
        Ok(())
    }

    /// Creates a command that is killed at the deadline.
    pub(super) fn command(&self, subcommand: &str, deadline: Instant) -> GitCommand {
        let mut command = Command::new(&self.program);
        command.arg(subcommand);
        self.start(command, ["git", subcommand], deadline)
    }

    /// Creates a command of ssh, started as git starts it: by the shell, with the configured line.
    /// Its answer is a secret.
    pub(super) fn ssh_command(&self, deadline: Instant) -> GitCommand {
        let mut command = Command::new("sh");
        command.args(["-c", "eval \"$GIT_SSH_COMMAND\" '\"$@\"'", "ssh"]);
        let command = self.start(command, ["ssh", "git-lfs-authenticate"], deadline);
        GitCommand {
            is_secret: true,
            ..command
        }
    }

    fn start(&self, mut command: Command, shown: [&str; 2], deadline: Instant) -> GitCommand {
        for name in self.removed.iter() {
            command.env_remove(name);
        }
        command
            .envs(&self.set)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        GitCommand {
            command,
            shown: shown.map(str::to_owned).to_vec(),
            settings: 0,
            is_secret: false,
            input: Vec::new(),
            longest: LONGEST_ANSWER,
            deadline,
        }
    }
}

/// A git command that is not running yet.
pub(super) struct GitCommand {
    command: Command,
    shown: Vec<String>,
    settings: usize,
    /// Whether its output must not be logged.
    is_secret: bool,
    /// Standard input; empty if nothing is written to it.
    input: Vec<u8>,
    /// The limit for its standard output, in bytes.
    longest: u64,
    deadline: Instant,
}

impl GitCommand {
    /// Sets a key of git's configuration for this command and its child processes.
    pub(super) fn config(mut self, key: &str, value: &str) -> Self {
        let n = self.settings;
        self.settings += 1;
        self.command
            .env("GIT_CONFIG_COUNT", self.settings.to_string())
            .env(format!("GIT_CONFIG_KEY_{n}"), key)
            .env(format!("GIT_CONFIG_VALUE_{n}"), value);
        self
    }

    /// Adds an argument that is not the user's.
    pub(super) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.shown.push(arg.as_ref().display().to_string());
        self.command.arg(arg);
        self
    }

    /// Adds arguments that are not the user's.
    pub(super) fn args(self, args: impl IntoIterator<Item: AsRef<OsStr>>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// Adds the user's arguments after `--`, so that none is parsed as an option.
    pub(super) fn user_args(self, args: impl IntoIterator<Item: AsRef<OsStr>>) -> Self {
        self.arg("--").args(args)
    }

    /// Raises the output limit to that of a list of files.
    pub(super) fn lists_files(mut self) -> Self {
        self.longest = LONGEST_LIST;
        self
    }

    /// Writes these bytes to standard input.
    pub(super) fn input(mut self, input: Vec<u8>) -> Self {
        self.command.stdin(Stdio::piped());
        self.input = input;
        self
    }

    /// Names the repository.
    pub(super) fn git_dir(mut self, dir: &Path) -> Self {
        self.command.env("GIT_DIR", dir);
        // Not in the syncer's working directory, which may be inside another repository.
        self.command.current_dir(dir);
        self
    }

    /// Sets a working directory other than the repository.
    pub(super) fn current_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Names the directory of the files and the index that describes them.
    pub(super) fn work_tree(mut self, tree: &Path, index: &Path) -> Self {
        self.command
            .env("GIT_WORK_TREE", tree)
            .env("GIT_INDEX_FILE", index)
            .current_dir(tree);
        self
    }

    /// Runs a command and discards its output.
    pub(super) async fn finish(self) -> Result<(), GitError> {
        self.run().await.map(drop)
    }

    /// Runs the command to its end and returns its standard output as text.
    pub(super) async fn run(self) -> Result<String, GitError> {
        let output = self.run_bytes().await?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    /// Runs the command to its end and returns its standard output: a path need not be UTF-8. At
    /// the deadline the whole process group is killed.
    pub(super) async fn run_bytes(mut self) -> Result<Vec<u8>, GitError> {
        let shown = redact(&self.shown.join(" "));
        tracing::info!(v = 5, cmd = %shown, "running command");
        crash::step();
        let mut child = self.command.spawn().map_err(|source| GitError::Spawn {
            program: self.command.as_std().get_program().display().to_string(),
            source,
        })?;
        // Dropped with this future as well: a cancelled sync leaves no process behind.
        let mut group = Group::of(child.id());
        let stdout = output::whole(child.stdout.take(), self.longest);
        let mut stderr = Vec::new();
        let stderr_tail = output::tail(child.stderr.take(), KEPT_STDERR, &mut stderr);
        let written = output::write(child.stdin.take(), std::mem::take(&mut self.input));
        let ended = tokio::time::timeout_at(self.deadline, async {
            let (stdout, (), (), status) =
                tokio::try_join!(stdout, stderr_tail, written, child.wait())?;
            Ok::<_, io::Error>((stdout, status))
        })
        .await;
        let (stdout, status) = match ended {
            Ok(Ok(ended)) => ended,
            given_up => {
                group.kill();
                // It was killed, so it ends at once; its status has no meaning.
                let _ = child.wait().await;
                return Err(match given_up {
                    Ok(Err(error)) if error.kind() == io::ErrorKind::FileTooLarge => {
                        GitError::TooLong {
                            command: self.name(),
                            limit: self.longest,
                        }
                    }
                    Ok(Err(source)) => GitError::Spawn {
                        program: shown,
                        source,
                    },
                    Ok(Ok(_)) | Err(_) => GitError::TimedOut {
                        command: self.name(),
                    },
                });
            }
        };
        group.disarm();
        let stderr = output::text(&stderr, KEPT_STDERR);
        let logged = match self.is_secret {
            true => Cow::Borrowed(MASK),
            false => String::from_utf8_lossy(&stdout),
        };
        tracing::info!(v = 6, cmd = %shown, status = %status, stdout = %logged, %stderr, "command ended");
        self.judged(status, stdout, &stderr)
    }

    fn judged(
        &self,
        status: ExitStatus,
        stdout: Vec<u8>,
        stderr: &str,
    ) -> Result<Vec<u8>, GitError> {
        if status.success() {
            return Ok(stdout);
        }
        if let Some(signal) = status.signal() {
            // Most likely out of memory; there is no message of git's.
            return Err(GitError::Killed {
                command: self.name(),
                signal,
            });
        }
        // Redacted before it is cut: a part of a secret would not be recognised.
        let detail = match failure::detail(&redact(stderr)) {
            detail if detail.is_empty() => status.to_string(),
            detail => detail,
        };
        Err(GitError::Failed {
            command: self.name(),
            code: status.code(),
            why: FailureCause::of(stderr),
            detail,
        })
    }

    /// `git fetch`; the log has the whole line at verbosity 5.
    fn name(&self) -> String {
        self.shown[..2].join(" ")
    }
}
