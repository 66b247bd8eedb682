//! A temporary world for one test: a remote, a root, a state directory, and the real program.

pub(crate) mod listing;
pub(crate) mod namespaces;
pub(crate) mod programs;

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::sys::signal::killpg;
use nix::unistd::Pid;
use remotes::Repo;
use tempfile::TempDir;

use crate::world::programs::write_script;

pub(crate) use crate::world::programs::PROGRAM;

/// The directories of git, ssh and the wrapper tools.
pub(crate) const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

/// The number of looks at the journal of an unfinished change, 20 ms apart.
const MAX_LOOKS: usize = 50;

/// The timeout of a wait; generous, since no test measures speed.
const TIMEOUT: Duration = Duration::from_secs(60);

/// All layouts that follow a ref, for tests that apply to each.
pub(crate) const LAYOUTS: [&str; 3] = ["link", "projected", "files"];

/// The layouts with one directory per revision, which one rename publishes.
pub(crate) const SWITCHED: [&str; 2] = ["link", "projected"];

/// Waits until `check` returns a value.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(
            started.elapsed() < TIMEOUT,
            "timed out waiting until {what}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

/// Commits a file `a` to a repository with SHA-256 hashes, which is created if needed.
pub(crate) fn sha256_commit(dir: &Path, content: &str) -> String {
    if !dir.exists() {
        fs::create_dir(dir).unwrap();
        git(dir, &["init", "-q", "-b", "main", "--object-format=sha256"]);
    }
    fs::write(dir.join("a"), content).unwrap();
    git(dir, &["add", "a"]);
    git(dir, &["commit", "-q", "-m", content]);
    git(dir, &["rev-parse", "HEAD"])
}

/// The output of git in a directory.
#[track_caller]
pub(crate) fn git(dir: &Path, args: &[&str]) -> String {
    let output = remotes::git().arg("-C").arg(dir).args(args).output();
    let output = output.unwrap();
    assert!(output.status.success(), "git {args:?}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim_end().to_owned()
}

/// Writes a key of a Secret as the kubelet does: the files themselves are read-only.
pub(crate) fn write_secret(dir: &Path, name: &str, content: &str) {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join(".new"), content).unwrap();
    fs::rename(dir.join(".new"), dir.join(name)).unwrap();
}

/// Sends a request to a local server; returns the raw answer, or `None` while no server listens.
pub(crate) fn ask(port: u16, method: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// The environment of one test, removed at its end.
pub(crate) struct World {
    dir: TempDir,
    pub(crate) repo: Repo,
    pub(crate) layout: &'static str,
}

impl World {
    pub(crate) fn new(layout: &'static str) -> Self {
        let dir = TempDir::with_prefix("world-").unwrap();
        let repo = Repo::in_dir(dir.path(), "site.git");
        Self { dir, repo, layout }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.path("root")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// The syncer's health file, which is whole at every moment.
    pub(crate) fn health(&self) -> Option<serde_json::Value> {
        let text = fs::read(self.state().join("health.json")).ok()?;
        Some(serde_json::from_slice(&text).unwrap())
    }

    /// The directory that the app mounts.
    pub(crate) fn seen(&self) -> PathBuf {
        match self.layout {
            "link" => self.root().join("current"),
            "files" => self.root().join("tree"),
            _ => self.root(),
        }
    }

    /// The directory that a careful consumer opens once.
    pub(crate) fn tree(&self) -> PathBuf {
        match self.layout {
            "link" => self.root().join("current"),
            "files" => self.root().join("tree"),
            _ => self.root().join("..data"),
        }
    }

    /// The syncer's own directory beside the files of the files layout.
    pub(crate) fn own(&self) -> PathBuf {
        self.root().join(".gitvolume")
    }

    /// The commit whose tree is published.
    pub(crate) fn published(&self) -> Option<String> {
        if self.layout == "files" {
            // The files appear a moment before the change ends; a killed syncer leaves it open.
            let journal = self.own().join("journal");
            for _ in 0..MAX_LOOKS {
                if !journal.exists() {
                    break;
                }
                thread::sleep(Duration::from_millis(20));
            }
            let marker = fs::read(self.own().join("tree.whole")).ok()?;
            let marker: serde_json::Value = serde_json::from_slice(&marker).unwrap();
            let is_open = journal.exists();
            return marker["commit"]
                .as_str()
                .filter(|_| !is_open)
                .map(str::to_owned);
        }
        let target = fs::read_link(self.tree()).ok()?;
        let name = target.file_name()?.to_str()?;
        let name = name.trim_start_matches('.');
        Some(name.split('-').next()?.to_owned())
    }

    /// Writes an executable shell script outside of the root.
    pub(crate) fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.path(name);
        write_script(&path, body);
        path
    }

    /// The lines of a file that a script appends to; empty if it does not exist yet.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.seen().join(name)).ok()
    }

    /// The command line for the file remote; a later flag of the same name overrides an earlier
    /// one.
    pub(crate) fn syncer(&self) -> Syncer {
        self.syncer_of(&self.repo.url())
    }

    pub(crate) fn syncer_of(&self, url: &str) -> Syncer {
        self.flags(Syncer::new(), url)
    }

    /// The program as an argument of another one, such as `unshare`.
    pub(crate) fn syncer_under(&self, wrapper: &[&str]) -> Syncer {
        let (first, rest) = wrapper.split_first().unwrap();
        let syncer = Syncer::program(first).args(rest.iter().copied());
        self.flags(syncer.arg(PROGRAM), &self.repo.url())
    }

    /// Adds the flags of this world to a command line that ends with the syncer's program.
    pub(crate) fn flags(&self, syncer: Syncer, url: &str) -> Syncer {
        let syncer = syncer
            .flag("repo", url)
            .flag("root", self.root())
            .flag("state", self.state())
            .flag("layout", self.layout)
            .flag("period", "50ms")
            .flag("max-failures", "-1");
        match self.layout {
            "link" => syncer.flag("link", "current"),
            _ => syncer,
        }
    }

    /// Gives every marker another boot id.
    #[track_caller]
    pub(crate) fn reboot(&self) {
        let markers = self.find("*whole");
        assert!(!markers.is_empty(), "no tree is marked");
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        for marker in markers {
            let text = fs::read_to_string(&marker).unwrap();
            fs::write(marker, text.replace(boot.trim(), "another-boot")).unwrap();
        }
    }

    /// The paths below the root and the state directory whose name matches.
    pub(crate) fn find(&self, name: &str) -> Vec<PathBuf> {
        let find = Command::new("find")
            .args([self.root(), self.state()])
            .args(["-name", name])
            .output()
            .unwrap();
        let paths = String::from_utf8(find.stdout).unwrap();
        paths.lines().map(PathBuf::from).collect()
    }

    /// Syncs once with further flags, successfully.
    #[track_caller]
    pub(crate) fn sync_once(&self, flags: &[(&str, &str)]) {
        let syncer = self.syncer().flag("one-time", "true");
        let syncer = syncer.flag("max-failures", "0");
        let with = |syncer: Syncer, &(name, value): &(&str, &str)| syncer.flag(name, value);
        flags.iter().fold(syncer, with).finish().assert_code(0);
    }

    /// Every file of the published tree, sorted, without `.git`.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut dirs = vec![self.tree().canonicalize().unwrap()];
        let top = dirs[0].clone();
        while let Some(dir) = dirs.pop() {
            // In the files layout, the syncer may remove a directory meanwhile.
            let is_changing = self.layout == "files" && dir != top;
            let entries = match fs::read_dir(dir) {
                Err(error) if is_changing && error.kind() == ErrorKind::NotFound => continue,
                entries => entries.unwrap(),
            };
            for entry in entries {
                let path = entry.unwrap().path();
                let is_git = path.file_name() == Some(OsStr::new(".git"));
                let metadata = match fs::symlink_metadata(&path) {
                    Err(error) if self.layout == "files" && error.kind() == ErrorKind::NotFound => {
                        continue;
                    }
                    metadata => metadata.unwrap(),
                };
                match metadata.is_dir() {
                    true => dirs.push(path),
                    false if is_git && self.layout == "link" => {}
                    false => {
                        let name = path.strip_prefix(&top).unwrap();
                        found.push(name.to_str().unwrap().to_owned());
                    }
                }
            }
        }
        found.sort();
        found
    }

    /// The output of a consumer's git in the published tree.
    #[track_caller]
    pub(crate) fn git(&self, args: &[&str]) -> String {
        git(&self.tree(), args)
    }

    pub(crate) fn probe(&self) -> (bool, String) {
        let output = Command::new(PROGRAM)
            .args([OsStr::new("probe"), OsStr::new("--state")])
            .arg(self.state())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.success(), text)
    }

    pub(crate) fn eventually_published(&self, commit: &str) {
        eventually(&format!("{commit} is published"), || {
            (self.published().as_deref() == Some(commit)).then_some(())
        });
    }
}

/// A command line of the program, before it is started.
pub(crate) struct Syncer {
    command: Command,
}

impl Syncer {
    pub(crate) fn new() -> Self {
        Self::program(PROGRAM)
    }

    /// Another program, such as `setpriv`, with the syncer as an argument.
    pub(crate) fn program(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", "/nonexistent")
            .stdin(Stdio::null())
            .process_group(0);
        Self { command }
    }

    pub(crate) fn flag(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let mut arg = std::ffi::OsString::from(format!("--{name}="));
        arg.push(value);
        self.command.arg(arg);
        self
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<'a>(self, args: impl IntoIterator<Item = &'a str>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Starts in this directory.
    pub(crate) fn in_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Runs to the end.
    pub(crate) fn finish(mut self) -> Finished {
        let output = self.command.stdout(Stdio::piped()).output().unwrap();
        Finished {
            status: output.status,
            log: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts, with the log in a file.
    pub(crate) fn start(mut self, log: &Path) -> Running {
        let file = fs::File::create(log).unwrap();
        let child = self.command.stderr(file).spawn().unwrap();
        Running {
            child,
            log: log.to_owned(),
        }
    }
}

pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) log: String,
}

impl Finished {
    #[track_caller]
    pub(crate) fn assert_code(&self, code: i32) {
        assert_eq!(self.status.code(), Some(code), "{}", self.log);
    }

    /// The last line's error.
    #[track_caller]
    pub(crate) fn assert_last_error(&self, words: &str) {
        let last = self.log.lines().last().unwrap_or_default();
        assert!(last.contains("\"error\":"), "{}", self.log);
        assert!(last.contains(words), "{words:?} is not in {last}");
    }
}

/// A running syncer; killed with its whole process group when the test ends.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    pub(crate) fn id(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until these words are in the log.
    #[track_caller]
    pub(crate) fn eventually_logs(&self, words: &str) {
        eventually(&format!("{words:?} is logged"), || {
            self.log().contains(words).then_some(())
        });
    }

    #[track_caller]
    pub(crate) fn assert_logged(&self, words: &str) {
        let log = self.log();
        assert!(log.contains(words), "{words:?} is not in {log}");
    }

    #[track_caller]
    pub(crate) fn assert_not_logged(&self, words: &str) {
        let log = self.log();
        assert!(!log.contains(words), "{words:?} is in {log}");
    }

    /// The port of the HTTP server, for `--http-bind=127.0.0.1:0`.
    pub(crate) fn port(&self) -> u16 {
        eventually("it serves HTTP", || {
            let log = self.log();
            let rest = log.split("\"endpoint\":\"127.0.0.1:").nth(1)?;
            rest.split('"').next()?.parse().ok()
        })
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.id()), signal).unwrap();
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until the program ends by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        eventually("the syncer ends", || self.child.try_wait().unwrap())
    }

    pub(crate) fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait()
    }

    /// SIGKILL to the whole process group, as the kernel does at the end of a container.
    pub(crate) fn kill(mut self) {
        let status = self.kill_group();
        assert_eq!(status.signal(), Some(9), "{}", self.log());
    }

    fn kill_group(&mut self) -> ExitStatus {
        // It may have ended by itself.
        let _ = killpg(Pid::from_raw(self.id()), Signal::SIGKILL);
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill_group();
        if thread::panicking() {
            eprintln!("the syncer's log:\n{}", self.log());
        }
    }
}
