//! Linux namespaces, for tests that mount file systems or run the syncer as process 1.
//!
//! Root creates them directly; an ordinary user is root in its own user namespace. If the kernel
//! forbids those, the test is listed as not run.

use std::any::type_name;
use std::env;
use std::process::Command;

use nix::unistd::Uid;
use remotes::not_run;

/// The flags of `unshare` for a process that is process 1, as in a container.
const PROCESS_ONE: [&str; 4] = ["--pid", "--fork", "--kill-child", "--mount-proc"];

/// The prefix of a command line that runs a program as process 1 of a PID namespace.
#[track_caller]
pub(crate) fn as_process_one() -> Option<Vec<&'static str>> {
    unshare(&PROCESS_ONE)
}

/// The prefix of a command line that runs a program in its own mount namespace, where it may mount
/// file systems.
#[track_caller]
pub(crate) fn with_own_mounts() -> Option<Vec<&'static str>> {
    unshare(&["--mount"])
}

#[track_caller]
fn unshare(flags: &[&'static str]) -> Option<Vec<&'static str>> {
    let mut command = vec!["unshare"];
    if !Uid::effective().is_root() {
        command.extend(["--user", "--map-root-user"]);
    }
    command.extend(flags);
    let trial = Command::new(command[0])
        .args(&command[1..])
        .arg("true")
        .output();
    match trial {
        Ok(output) if output.status.success() => Some(command),
        Ok(output) => {
            let complaint = String::from_utf8_lossy(&output.stderr);
            let complaint = complaint.trim_end();
            not_run(&format!("the kernel forbids namespaces here ({complaint})"));
            None
        }
        Err(error) => {
            not_run(&format!("unshare of util-linux cannot be run ({error})"));
            None
        }
    }
}

/// Runs a test's body, a closure in the test itself, where it may mount file systems: directly as
/// root; for an ordinary user in this program started again, as root of a user namespace.
#[track_caller]
pub(crate) fn run_with_own_mounts<F: FnOnce()>(body: F) {
    if Uid::effective().is_root() {
        return body();
    }
    let Some(unshare) = with_own_mounts() else {
        return;
    };
    let closure = type_name::<F>().trim_end_matches("::{{closure}}");
    let (_, test) = closure.split_once("::").expect("a path in this crate");
    let output = Command::new(unshare[0])
        .args(&unshare[1..])
        .arg(env::current_exe().expect("this program"))
        .args(["--exact", "--nocapture", test])
        .output()
        .expect("run this program");
    let text = String::from_utf8_lossy(&output.stdout);
    let has_passed = output.status.success() && text.contains("1 passed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(has_passed, "{test} in a user namespace:\n{text}\n{errors}");
}
