//! Where every git command is born.
//!
//! - Always `git SUBCOMMAND …`, never an option before it: users' `--git` wrappers look at their
//!   first argument.
//! - Of the environment only git's own list of repository-local variables is removed; the user's
//!   other variables (proxies, `GIT_TRACE`, …) pass through.
//! - Each command is its own process group with a hard deadline, so that no transport helper or ssh
//!   outlives it; it reads nothing from a terminal.

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

use args::secret_variables;
use tokio::process::Command;
use tokio::time::Instant;

use crate::crash;
use crate::git::failure;
use crate::git::failure::Why;
use crate::group::Group;
use crate::output;
use crate::redact::redact;

/// How much of the end of standard error is kept: a server may write to it without end.
const KEPT_STDERR: usize = 64 << 10;

/// How much a command may answer on standard output, in bytes, unless it lists files.
const LONGEST_ANSWER: u64 = 4 << 20;

/// The same for a command that lists files: some millions of them.
const LONGEST_LIST: u64 = 256 << 20;

/// What hooks get of the variables that git gets; the rest is for our own reading of git's words.
const OF_HOOKS: [&str; 6] = [
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
    "HOME",
    "TMPDIR",
];

/// What can go wrong with a git command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GitError {
    #[error("cannot run {program}")]
    Spawn { program: String, source: io::Error },
    #[error("{}", failed_sentence(.why.as_ref(), .command, .detail))]
    Failed {
        command: String,
        /// The exit status.
        code: Option<i32>,
        why: Option<Why>,
        detail: String,
    },
    #[error("{command}: was ended by signal {signal}")]
    Killed { command: String, signal: i32 },
    #[error("{command}: did not end in the time that --sync-timeout allows, and was killed")]
    TimedOut { command: String },
    #[error("{command}: wrote more than {limit} bytes to standard output, and was killed")]
    TooLong { command: String, limit: u64 },
    #[error("{command}: answered {answer:?}, which we do not understand")]
    Unexpected { command: String, answer: String },
}

impl GitError {
    /// The cause, where git's words are known.
    pub(crate) fn why(&self) -> Option<Why> {
        match self {
            Self::Failed { why, .. } => *why,
            _ => None,
        }
    }
}

fn failed_sentence(why: Option<&Why>, command: &str, detail: &str) -> String {
    match why {
        Some(why) => format!("{why} ({command}: {detail})"),
        None => format!("{command}: {detail}"),
    }
}

/// The git program with all that is common to its commands.
#[derive(Clone, Debug)]
pub(crate) struct Git {
    program: PathBuf,
    set: BTreeMap<OsString, OsString>,
    /// The same for each repository of the process.
    removed: Arc<Vec<OsString>>,
}

impl Git {
    /// Describes a program; nothing runs yet.
    pub(crate) fn new(program: PathBuf) -> Self {
        let mut git = Self {
            program,
            set: BTreeMap::new(),
            // They may hold a password, which is for our credential helper alone.
            removed: Arc::new(secret_variables().map(OsString::from).collect()),
        };
        git.set("GIT_CONFIG_NOSYSTEM", "true");
        git.set("GIT_TERMINAL_PROMPT", "0");
        // We read git's words, so they must be in the language we know.
        git.set("LC_ALL", "C");
        git
    }

    /// Sets a variable for all commands to come.
    pub(crate) fn set(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.set.insert(name.into(), value.as_ref().to_owned());
    }

    /// The variables by which a hook that runs git has our configuration and our way to the remote.
    pub(crate) fn environment_of_hooks(&self) -> Vec<(OsString, OsString)> {
        let told = |name: &OsString| OF_HOOKS.iter().any(|known| name == known);
        let set = self.set.iter().filter(|(name, _)| told(name));
        set.map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Asks git which variables would tie it to another repository, and removes them from now on.
    pub(crate) async fn remove_local_variables(
        &mut self,
        deadline: Instant,
    ) -> Result<(), GitError> {
        let listed = self
            .command("rev-parse")
            .arg("--local-env-vars")
            .run(deadline)
            .await?;
        Arc::make_mut(&mut self.removed).extend(listed.lines().map(|name| name.trim().into()));
        Ok(())
    }

    /// Begins a command.
    pub(crate) fn command(&self, subcommand: &str) -> GitCommand {
        let mut command = Command::new(&self.program);
        for name in self.removed.iter() {
            command.env_remove(name);
        }
        command
            .arg(subcommand)
            .envs(&self.set)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        GitCommand {
            command,
            shown: vec!["git".to_owned(), subcommand.to_owned()],
            settings: 0,
            longest: LONGEST_ANSWER,
        }
    }
}

/// A git command that is not running yet.
pub(crate) struct GitCommand {
    command: Command,
    shown: Vec<String>,
    settings: usize,
    /// The limit for its standard output, in bytes.
    longest: u64,
}

impl GitCommand {
    /// Sets a key of git's configuration for this command and what it starts in the repository.
    pub(crate) fn config(mut self, key: &str, value: &str) -> Self {
        let n = self.settings;
        self.settings += 1;
        self.command
            .env("GIT_CONFIG_COUNT", self.settings.to_string())
            .env(format!("GIT_CONFIG_KEY_{n}"), key)
            .env(format!("GIT_CONFIG_VALUE_{n}"), value);
        self
    }

    /// Adds an argument of our own making.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.shown.push(arg.as_ref().display().to_string());
        self.command.arg(arg);
        self
    }

    /// Adds what a user wrote, behind `--`, so that it cannot be an option.
    pub(crate) fn user_args<'a>(self, args: impl IntoIterator<Item = &'a str>) -> Self {
        args.into_iter().fold(self.arg("--"), Self::arg)
    }

    /// Lets it list all files of a tree.
    pub(crate) fn lists_files(mut self) -> Self {
        self.longest = LONGEST_LIST;
        self
    }

    /// Names the repository.
    pub(crate) fn git_dir(mut self, dir: &Path) -> Self {
        self.command.env("GIT_DIR", dir);
        // Away from a repository that happens to hold our own working directory.
        self.command.current_dir(dir);
        self
    }

    /// Starts elsewhere than in the repository.
    pub(crate) fn current_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Names the directory of the files and the index that describes them.
    pub(crate) fn work_tree(mut self, tree: &Path, index: &Path) -> Self {
        self.command
            .env("GIT_WORK_TREE", tree)
            .env("GIT_INDEX_FILE", index)
            .current_dir(tree);
        self
    }

    /// Runs to the end, or to the deadline, where the whole process group is killed; gives what was
    /// written to standard output.
    pub(crate) async fn run(mut self, deadline: Instant) -> Result<String, GitError> {
        let shown = redact(&self.shown.join(" "));
        tracing::info!(v = 5, cmd = %shown, "running command");
        crash::step();
        let mut child = self.command.spawn().map_err(|source| GitError::Spawn {
            program: self.command.as_std().get_program().display().to_string(),
            source,
        })?;
        // Dropped with this future, too: a sync that is given up leaves no process behind.
        let mut group = Group::of(child.id());
        let stdout = output::whole(child.stdout.take(), self.longest);
        let mut stderr = Vec::new();
        let told = output::tail(child.stderr.take(), KEPT_STDERR, &mut stderr);
        let ended = tokio::time::timeout_at(deadline, async {
            let (stdout, (), status) = tokio::try_join!(stdout, told, child.wait())?;
            Ok::<_, io::Error>((stdout, status))
        })
        .await;
        let (stdout, status) = match ended {
            Ok(Ok(ended)) => ended,
            given_up => {
                group.kill();
                // Killed, so it ends at once; its status says nothing more.
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
        tracing::info!(v = 6, cmd = %shown, status = %status, %stdout, %stderr, "command ended");
        self.judged(status, stdout, &stderr)
    }

    fn judged(&self, status: ExitStatus, stdout: String, stderr: &str) -> Result<String, GitError> {
        if status.success() {
            return Ok(stdout);
        }
        if let Some(signal) = status.signal() {
            // Out of memory, most likely: no word of git's on anything.
            return Err(GitError::Killed {
                command: self.name(),
                signal,
            });
        }
        // Before it is cut: a part of a secret would not be recognised.
        let detail = match failure::detail(&redact(stderr)) {
            detail if detail.is_empty() => status.to_string(),
            detail => detail,
        };
        Err(GitError::Failed {
            command: self.name(),
            code: status.code(),
            why: Why::of(stderr),
            detail,
        })
    }

    /// `git fetch` and not the whole line, which is in the log at verbosity 5.
    fn name(&self) -> String {
        self.shown[..2].join(" ")
    }
}
