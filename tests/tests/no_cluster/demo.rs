//! `make demo` in one test: the whole way, as CI runs it, without a cluster.

use std::process::Command;

use tests::settings;

#[test]
fn the_demo_shows_a_page_and_its_change_and_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let demo = Command::new(settings::built("gitvolume"))
        .arg("demo")
        .arg("--syncer")
        .arg(settings::built("gitvolume-syncer"))
        .arg("--example")
        .arg(settings::root().join("examples/web.yaml"))
        .env("CI", "true")
        .env("TMPDIR", temporary.path())
        .output()
        .expect("run the demo: cargo build --workspace --bins builds it");
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
