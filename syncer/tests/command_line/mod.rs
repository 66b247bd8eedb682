//! The command line and the environment of git-sync v2, v3 and v4.

mod manifests;
mod refusals;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Child;
use std::process::Command;

use nix::sys::signal::Signal;
use nix::sys::signal::killpg;
use nix::unistd::Pid;
use remotes::ReservedPort;

use crate::world::Finished;
use crate::world::PROGRAM;
use crate::world::Syncer;
use crate::world::World;

/// A valid command line with a repository and a root that are never used.
fn good() -> Syncer {
    Syncer::new()
        .flag("repo", "https://git.example/x")
        .flag("root", "/nonexistent/root")
}

#[track_caller]
fn assert_refused(run: &Finished, code: i32, sentence: &str) {
    run.assert_code(code);
    let line = format!("gitvolume-syncer: {sentence}");
    let is_there = run.log.lines().any(|found| found.starts_with(&line));
    assert!(is_there, "{sentence:?} is not in {}", run.log);
    assert!(
        run.log
            .contains("\nsee --help for the flags and --man for the manual\n")
    );
}

/// The messages of the log, which has JSON lines.
fn messages(run: &Finished) -> Vec<String> {
    let message = |line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(line["msg"].as_str()?.to_owned())
    };
    run.log.lines().filter_map(message).collect()
}

#[track_caller]
fn assert_told(run: &Finished, notice: &str) {
    let messages = messages(run);
    let is_there = messages.iter().any(|message| message == notice);
    assert!(is_there, "{notice:?} is not in {messages:#?}");
}

#[test]
fn help_version_and_manual_go_to_standard_output() {
    for (flags, beginning) in [
        (["--help"].as_slice(), "Keep a directory at a revision"),
        (&["-h"], "Keep a directory at a revision"),
        (&["-?"], "Keep a directory at a revision"),
        (&["--man"], "\nGITVOLUME-SYNCER\n"),
        (&["--man", "--help"], "Keep a directory at a revision"),
        (&["--version"], "gitvolume-syncer "),
        (&["--help", "--man", "--version"], "gitvolume-syncer "),
    ] {
        let output = Command::new(PROGRAM)
            .env_clear()
            .args(flags)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{flags:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        // The manual starts with a heading, with or without a blank line before it.
        assert!(
            text.trim_start().starts_with(beginning.trim_start()),
            "{flags:?}: {text}"
        );
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{flags:?}");
    }
}

#[test]
fn unknown_variables_are_logged_with_the_nearest_name_except_those_of_kubernetes() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let run = world
        .syncer()
        .flag("one-time", "true")
        .env("GITSYNC_BRANCH", "main")
        .env("GITSYNC_PERIDO", "5s")
        .env("GIT_SYNC_SSH", "yes")
        .env("GIT_SYNC_PORT", "tcp://10.0.0.1:80")
        .env("GIT_SYNC_SERVICE_HOST", "10.0.0.1")
        .env("GIT_SYNC_PORT_80_TCP_ADDR", "10.0.0.1")
        .arg("stray")
        .finish();
    run.assert_code(0);
    assert_told(
        &run,
        "env $GITSYNC_BRANCH is unknown, and ignored; did you mean $GITSYNC_REF?",
    );
    assert_told(
        &run,
        "env $GITSYNC_PERIDO is unknown, and ignored; did you mean $GITSYNC_PERIOD?",
    );
    assert_told(
        &run,
        "env $GIT_SYNC_SSH is ignored: the repository address selects ssh",
    );
    assert_told(&run, "argument \"stray\" is not a flag and is ignored");
    assert!(
        !run.log.contains("10.0.0.1") && !run.log.contains("SERVICE"),
        "{}",
        run.log
    );
}

#[test]
fn the_log_starts_with_the_set_flags_without_secrets() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let run = Syncer::new()
        .flag("repo", world.repo.url())
        .env("GITSYNC_ROOT", world.root())
        .env("GITSYNC_PASSWORD", "hunter2")
        .args(["--username=me", "-one-time", "-v=0x1"])
        .finish();
    run.assert_code(0);
    let started = run
        .log
        .lines()
        .find(|line| line.contains("\"starting up\""))
        .unwrap();
    let started: serde_json::Value = serde_json::from_str(started).unwrap();
    let expected = serde_json::json!([
        "--depth=0",
        "--one-time=true",
        "--password=REDACTED",
        format!("--repo={}", world.repo.url()),
        format!("--root={}", world.root().display()),
        "--username=me",
        "--verbose=1",
    ]);
    assert_eq!(started["flags"], expected);
    assert!(!run.log.contains("hunter2"), "{}", run.log);
}

#[test]
fn a_link_may_be_any_path_that_names_something() {
    for (link, path) in [
        ("html/", "root/html"),
        ("./a//b/../c", "root/a/c"),
        ("../out", "out"),
    ] {
        let world = World::new("link");
        world.repo.commit().write("a", "1").push();
        let run = world
            .syncer()
            .flag("link", link)
            .flag("one-time", "true")
            .finish();
        run.assert_code(0);
        assert_eq!(
            fs::read_to_string(world.path(path).join("a")).unwrap(),
            "1",
            "{link}"
        );
    }
    assert_refused(
        &good().flag("link", ".").finish(),
        1,
        "--link: \".\": expected a name",
    );
}

/// A server of git's own protocol; dropped with its child processes at the end of the test.
struct Daemon(Child);

impl Daemon {
    fn start(base: &Path, port: u16) -> Self {
        let mut command = Command::new("git");
        command
            .args([
                "daemon",
                "--export-all",
                "--reuseaddr",
                "--listen=127.0.0.1",
            ])
            .arg(format!("--port={port}"))
            .arg(format!("--base-path={}", base.display()))
            .process_group(0);
        Self(command.spawn().unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        killpg(
            Pid::from_raw(self.0.id().try_into().unwrap()),
            Signal::SIGKILL,
        )
        .unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn an_address_of_gits_own_protocol_is_synced() {
    let world = World::new("link");
    let commit = world.repo.commit().write("a", "1").push();
    let port = ReservedPort::new();
    let _daemon = Daemon::start(&world.path(""), port.address().port());
    let url = format!("git://{}/site.git", port.address());
    let running = world.syncer_of(&url).start(&world.path("log"));
    world.eventually_published(&commit);
    assert_eq!(running.terminate().code(), Some(0));
}
