//! What people are told, and how the program ends.

use std::io::Read;
use std::process::Command;
use std::process::Stdio;

use crate::cli::POD;
use crate::cli::run;

#[test]
fn a_refusal_is_one_line_with_its_place_and_nothing_is_written() {
    let bad = POD.replace("https://git.example/site.git", "ftp://git.example/x");
    let ran = run(&["inject", "-n", "shop"], &format!("{POD}---\n{bad}"));
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    assert!(
        ran.err
            .starts_with("error: -:document 2 (Pod web): gitvolume.dev/repo: "),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("expected"), "{}", ran.err);
    // Where mistakes are only warned of, the Pod says so itself.
    let ran = run(&["inject", "--on-mistake=warn"], &bad);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("gitvolume.dev/status"), "{}", ran.out);
}

#[test]
fn annotations_on_the_wrong_level_are_told_of() {
    let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  namespace: shop\n  \
                annotations: {gitvolume.dev/repo: x}\nspec: {template: {spec: {containers: []}}}\n";
    let ran = run(&["inject"], text);
    assert_eq!((ran.code, ran.out.as_str()), (0, text));
    assert_eq!(
        ran.err,
        "warning: -:document 1 (Deployment shop/web): gitvolume.dev/repo: no effect on a Deployment; \
         expected in spec.template.metadata\n"
    );
    assert_eq!(run(&["inject", "--check"], text).code, 1);
}

#[test]
fn a_check_tells_by_its_code_and_writes_nothing() {
    let ran = run(&["inject", "--check"], POD);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert_eq!(ran.err, "note: -: would change\n");
    let injected = run(&["inject"], POD).out;
    let ran = run(&["inject", "--check"], &injected);
    assert_eq!((ran.code, ran.out + &ran.err), (0, String::new()));
    assert_eq!(run(&["uninject", "--check"], &injected).code, 1);
    assert_eq!(run(&["uninject", "--check"], POD).code, 0);
}

#[test]
fn a_diff_is_one_that_patch_takes() {
    let before = format!("a: 1\n---\n{POD}---\nb: 2\n---\n{POD}");
    let ran = run(&["diff"], &before);
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    let injected = run(&["inject"], &before).out;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    let patch = directory.path().join("patch");
    std::fs::write(&file, &before).unwrap();
    // The diff names standard input; git wants the file's name.
    let named = ran
        .out
        .replacen("--- -\n+++ - (injected)", "--- file\n+++ file", 1);
    std::fs::write(&patch, named).unwrap();
    let status = Command::new("git")
        .args(["apply", "-p0"])
        .arg(&patch)
        .current_dir(directory.path())
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), injected);
    assert_eq!(run(&["diff"], &injected).code, 0);
}

#[test]
fn what_is_no_yaml_is_an_error_that_shows_nothing_of_it() {
    for (text, place) in [
        ("a: 1\n---\npassword: 'hunter2\n", "error: -: line "),
        ("{\"password\": \"hunter2\"", "error: -: line "),
        ("a: [hunter2\n", "error: -: line "),
    ] {
        let ran = run(&["inject"], text);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{text}");
        assert!(ran.err.starts_with(place), "{}", ran.err);
        assert!(!ran.err.contains("hunter2"), "{}", ran.err);
    }
    let wrong = POD.replace("image: nginx:1.29", "ports: {hunter2: hunter2}");
    let ran = run(&["inject"], &wrong);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err
            .contains("(Pod web): the object cannot be read as a Pod"),
        "{}",
        ran.err
    );
    assert!(!ran.err.contains("hunter2"), "{}", ran.err);
}

#[test]
fn whoever_reads_only_the_beginning_gets_it_in_peace() {
    let many = format!("---\n{POD}").repeat(2000);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("many.yaml");
    std::fs::write(&file, many).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_gitvolume"))
        .args(["inject", "-f"])
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut beginning = [0; 4];
    child
        .stdout
        .take()
        .unwrap()
        .read_exact(&mut beginning)
        .unwrap();
    assert_eq!(&beginning, b"---\n");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{:?}", output.status);
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn the_settings_are_those_of_the_webhook() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.yaml");
    std::fs::write(&config, "image: a/syncer:1\nimagePullPolicy: Never\n").unwrap();
    let flag = format!("--config={}", config.display());
    let injected = run(&["inject", &flag], POD).out;
    assert!(injected.contains("image: a/syncer:1\n"), "{injected}");
    assert!(injected.contains("imagePullPolicy: Never\n"), "{injected}");
    let injected = run(&["inject", &flag, "--syncer-image=b/syncer:2"], POD).out;
    assert!(injected.contains("image: b/syncer:2\n"), "{injected}");
    let ran = run(&["inject", "--config=/nowhere"], POD);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("cannot read --config /nowhere"),
        "{}",
        ran.err
    );
}

/// `inject` of what was injected and edited since is `inject` of the edited manifest.
#[test]
fn an_edit_of_an_injected_manifest_is_seen_and_carried_out() {
    let value = |text: &str| serde_saphyr::from_str::<serde_json::Value>(text).unwrap();
    let injected = run(&["inject"], POD).out;
    let site = "    gitvolume.dev/repo: https://git.example/site.git # the site\n";
    for line in [
        "gitvolume.dev/ref: v1",
        "gitvolume.dev/size-limit: 1Gi",
        "gitvolume.dev/read-only: \"false\"",
        "gitvolume.dev/mount-path: /other",
        "gitvolume.dev/resources.limits.cpu: 200m",
    ] {
        let added = format!("{site}    {line}\n");
        let edited = injected.replace(site, &added);
        let ran = run(&["inject", "--check"], &edited);
        assert_eq!(ran.code, 1, "{line}: {}", ran.err);
        let fresh = run(&["inject"], &POD.replace(site, &added)).out;
        let renewed = run(&["inject"], &edited).out;
        assert_eq!(value(&renewed), value(&fresh), "{line}");
        assert!(renewed.contains("# The one and only."), "{renewed}");
        assert_eq!(run(&["inject", "--check"], &renewed).code, 0, "{line}");
    }
    // With other settings it is another injection.
    let ran = run(&["inject", "--check", "--syncer-image=other:1"], &injected);
    assert_eq!(ran.code, 1, "{}", ran.err);
    // By hand, too.
    let edited = injected.replace("restartPolicy: Always", "tty: false");
    assert_eq!(run(&["inject", "--check"], &edited).code, 1);
    assert_eq!(value(&run(&["inject"], &edited).out), value(&injected));
    let edited = injected.replace("gitvolume.dev/repo: https", "example.com/x: https");
    let ran = run(&["inject"], &edited);
    assert!(!ran.out.contains("gitvolume-content"), "{}", ran.out);
}

#[test]
fn an_explanation_tells_what_a_new_pod_gets_otherwise() {
    let injected = run(&["inject"], POD).out;
    let told = run(&["explain"], &injected).out;
    assert!(told.contains("a new Pod gets the same"), "{told}");
    let edited = injected.replace("# the site", "\n    gitvolume.dev/size-limit: 1Gi");
    let told = run(&["explain"], &edited).out;
    assert!(
        told.contains("volume gitvolume-content: emptyDir"),
        "{told}"
    );
    assert!(!told.contains("a new Pod gets the same"), "{told}");
}
