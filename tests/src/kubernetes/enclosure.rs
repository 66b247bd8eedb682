//! Kernel namespaces that contain the whole node and end with it.
//!
//! The test program starts itself again as PID 2 of a new PID, network and mount namespace. When
//! PID 1 there ends, for whatever reason, the kernel ends every process (the node's programs, each
//! container, the tests) and removes the mounts, bridges and iptables rules. Only cgroup
//! directories and files can outlive that; a *janitor* removes them: a third copy of the program,
//! which waits for a lock of the first one, so that it also works after `kill -9`.

use std::fs;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::ExitCode;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use nix::sys::signal::SigSet;
use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use nix::unistd::geteuid;

use crate::settings;
use crate::settings::INSIDE;
use crate::settings::JANITOR;

const PREFIX: &str = "gitvolume-node-";
const LOCK: &str = "lock";

/// Script of PID 1. A shell, because it reaps orphaned processes of the node.
///
/// /run, /var/log and /var/lib/cni are the directories that containerd, the kubelet and the CNI
/// plugins write to regardless of their options. /sys is not mounted again: the kubelet finds no
/// cgroups in a new one.
const INIT: &str = r#"
set -eu
ip link set lo up
mount --make-rshared /
mkdir -p "$0/run/lock" "$0/log" /var/lib/cni
mount --bind "$0/run" /run
mount --bind "$0/log" /var/log
mount -t tmpfs cni /var/lib/cni
code=0
"$@" || code=$?
exit "$code"
"#;

/// Runs this program again inside, and returns its exit code after all its processes have ended.
pub(crate) fn run_inside() -> Result<ExitCode> {
    if !geteuid().is_root() {
        bail!(
            "the node needs root: run it with sudo -E, or set KUBECONFIG to use a cluster of yours"
        );
    }
    sweep();
    let dir = std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let lock = File::create(dir.join(LOCK))?;
    lock.lock()?;

    // From here on SIGINT and SIGTERM stay pending until the node is gone. They are blocked before
    // any other thread starts, because threads inherit the mask; std resets it in spawned programs.
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
    signals.thread_block()?;

    let program = std::env::current_exe()?;
    let mut janitor = Command::new(&program)
        .env(JANITOR, &dir)
        .stdin(Stdio::null())
        // Outside of the terminal's foreground group, so that Ctrl-C does not reach the janitor.
        .process_group(0)
        .spawn()
        .context("start the janitor")?;
    // `setpriv` ends `unshare` together with this process, and `unshare` ends PID 1.
    let mut inside = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .args([
            "unshare",
            "--net",
            "--pid",
            "--mount",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .args(["sh", "-c", INIT])
        .arg(&dir)
        .arg(&program)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, &dir)
        .spawn()
        .context("start unshare, of Debian's util-linux")?;

    let pid = Pid::from_raw(inside.id().cast_signed());
    thread::spawn(move || {
        if let Ok(signal) = signals.wait() {
            eprintln!("\n{signal}: ending the node");
            let _ = kill(pid, Signal::SIGKILL);
        }
    });
    let status = inside.wait()?;
    if !status.success() {
        keep_logs(&dir);
    }
    drop(lock);
    janitor.wait()?;
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(1));
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// Main function of the janitor: waits until the program that created the directory has ended, then
/// cleans up.
pub(crate) fn clean_when_left(dir: &Path) -> Result<()> {
    let lock = File::open(dir.join(LOCK))?;
    lock.lock()?;
    clean(dir)
}

/// Name of the node's cgroup.
pub(crate) fn cgroup_of(dir: &Path) -> String {
    dir.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The directories of a cgroup in every hierarchy: one for cgroup v2, one per controller for v1.
pub(crate) fn cgroup_dirs(name: &str) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = if root.join("cgroup.controllers").exists() {
        vec![root.to_path_buf()]
    } else {
        let entries = fs::read_dir(root).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| path.join("cgroup.procs").exists())
            .collect()
    };
    hierarchies
        .into_iter()
        .map(|hierarchy| hierarchy.join(name))
        .collect()
}

/// Cleans up after earlier runs whose janitor was killed too.
fn sweep() {
    for (dir, running) in node_dirs() {
        if running {
            continue;
        }
        if let Err(error) = clean(&dir) {
            eprintln!("{}: {error:#}", dir.display());
        }
    }
}

/// The directories of all nodes on this machine, and whether each still runs, that is, whether its
/// lock is held. A kept directory has no lock.
fn node_dirs() -> Vec<(PathBuf, bool)> {
    let entries = fs::read_dir(std::env::temp_dir())
        .into_iter()
        .flatten()
        .flatten();
    entries
        .map(|entry| entry.path())
        .filter(|dir| cgroup_of(dir).starts_with(PREFIX))
        .filter_map(|dir| {
            let lock = File::open(dir.join(LOCK)).ok()?;
            let running = lock.try_lock().is_err();
            Some((dir, running))
        })
        .collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test has no event loop to hold up"
)]
fn clean(dir: &Path) -> Result<()> {
    for cgroup in cgroup_dirs(&cgroup_of(dir)) {
        remove_cgroup(&cgroup)?;
    }
    // Removes only the empty mount point, and not while another node runs, because its mount would
    // disappear too.
    if !node_dirs()
        .iter()
        .any(|(other, running)| *running && other != dir)
    {
        let _ = fs::remove_dir("/var/lib/cni");
    }
    if settings::keep() {
        eprintln!("kept: {}", dir.display());
        return fs::remove_file(dir.join(LOCK)).context("remove the lock");
    }
    fs::remove_dir_all(dir).with_context(|| format!("remove {}", dir.display()))
}

/// Removes a cgroup with its children, deepest first; it stays busy until its last process is
/// reaped.
fn remove_cgroup(cgroup: &Path) -> Result<()> {
    let started = Instant::now();
    loop {
        let Err(error) = remove_dirs(cgroup) else {
            return Ok(());
        };
        if started.elapsed() > Duration::from_secs(20) {
            return Err(error).with_context(|| format!("remove {}", cgroup.display()));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn remove_dirs(dir: &Path) -> std::io::Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    // The files of a cgroup belong to the kernel; only the directories can be removed.
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_dirs(&entry.path())?;
        }
    }
    fs::remove_dir(dir)
}

/// Copies the logs of a failed run to where a person or CI finds them.
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no event loop to hold up"
)]
fn keep_logs(dir: &Path) {
    let kept = settings::target().join("node-logs");
    let _ = fs::remove_dir_all(&kept);
    let copied = fs::create_dir_all(&kept).is_ok()
        && Command::new("cp")
            .arg("-rL")
            .arg(dir.join("log"))
            .arg(&kept)
            .stderr(Stdio::null())
            .status()
            .is_ok();
    if copied {
        eprintln!("the node's logs: {}", kept.display());
    }
}
