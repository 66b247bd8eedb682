//! `make demo` as a test: the complete demo without a cluster, as CI runs it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::Command;

/// Variables that git, curl, rustls or our programs read.
const NONSENSE: [&str; 10] = [
    "GIT_DIR",
    "GIT_SSL_CAINFO",
    "GIT_CONFIG_GLOBAL",
    "GIT_SSH_COMMAND",
    "GITSYNC_REPO",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "ALL_PROXY",
];

#[test]
fn the_demo_shows_a_page_and_its_change_and_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let demo = Path::new(env!("CARGO_BIN_EXE_demo"));
    let demo = Command::new(demo)
        .arg("--syncer")
        .arg(demo.with_file_name("gitvolume-syncer"))
        .arg("--example")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/nginx/pod.yaml"))
        .env("CI", "true")
        // Settings of the user's machine, all invalid here.
        .envs(NONSENSE.map(|name| (name, "/nonexistent")))
        .env("TMPDIR", temporary.path())
        .output()
        .expect("run the demo");
    let said = String::from_utf8_lossy(&demo.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&demo.stderr);
    assert!(
        demo.status.success(),
        "{}\n{said}\n{complaint}",
        demo.status
    );
    for part in [
        "gitvolume.dev/repo",
        "+",
        "initContainers",
        "/gitvolume-syncer",
    ] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    let left: Vec<_> = std::fs::read_dir(temporary.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
