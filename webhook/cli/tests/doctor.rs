//! The page about the doctor, and the doctor without a cluster.

use std::fs;
use std::path::Path;
use std::process::Command;

use cli::commands::doctor::finding::markdown;

use crate::run_in;

/// Whether golden files are updated (`make goldens`).
#[expect(clippy::disallowed_methods, reason = "tests have no arguments")]
fn is_update() -> bool {
    std::env::var_os("UPDATE_GOLDENS").is_some()
}

#[test]
fn the_page_has_every_finding() {
    const START: &str = "<!-- findings: written by the tests, from the table in the code -->\n";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/doctor.md");
    let page = fs::read_to_string(&file).unwrap();
    let (before, _) = page.split_once(START).unwrap();
    let expected = format!("{before}{START}{}", markdown());
    if is_update() {
        fs::write(&file, &expected).unwrap();
    }
    assert!(
        fs::read_to_string(&file).unwrap() == expected,
        "docs/doctor.md is old (UPDATE_GOLDENS=1 writes it)"
    );
}

#[test]
fn without_a_cluster_the_error_is_one_line() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("none"), "apiVersion: v1\nkind: Config\n").unwrap();
    // Nothing listens on port 9.
    let away = "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
        contexts: [{name: a, context: {cluster: a, user: a}}]\n\
        clusters: [{name: a, cluster: {server: 'http://127.0.0.1:9'}}]\n\
        users: [{name: a, user: {}}]\n";
    fs::write(root.path().join("away"), away).unwrap();
    for (flags, expected) in [
        (
            &["--kubeconfig=missing"][..],
            "--kubeconfig missing: cannot be read",
        ),
        (&["--kubeconfig=none"], "cannot access the cluster"),
        (&["--kubeconfig=away"], "cannot access the cluster"),
        (
            &["--kubeconfig=away", "--context=b"],
            "cannot access the cluster",
        ),
    ] {
        for command in [&["doctor"][..], &["explain", "pod/web"], &["status"]] {
            let ran = run_in(root.path(), &[command, flags].concat(), "");
            assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{flags:?}");
            assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
            assert!(ran.err.contains(expected), "{}", ran.err);
        }
    }
    let ran = run_in(root.path(), &["doctor", "-A", "-n", "shop"], "");
    assert_eq!(ran.code, 2, "{}", ran.err);
}

/// With a cluster the settings come from its webhook, so an invalid variable of the user has no
/// effect.
#[test]
fn an_invalid_variable_of_the_user_has_no_effect_on_commands_with_the_webhooks_settings() {
    let stderr_of = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_gitvolume"))
            .args(args)
            .env_clear()
            .env("GITVOLUME_ON_MISTAKE", "nonsense")
            .output()
            .unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    for command in [&["doctor"][..], &["explain", "pod/web"]] {
        let err = stderr_of(&[command, &["--kubeconfig=/nowhere"]].concat());
        assert!(
            err.contains("--kubeconfig /nowhere: cannot be read"),
            "{err}"
        );
    }
    let err = stderr_of(&["explain", "-f", "-"]);
    assert!(err.contains("invalid value 'nonsense'"), "{err}");
}
