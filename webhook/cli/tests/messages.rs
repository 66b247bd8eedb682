//! Messages and exit codes.

use std::io::Read;
use std::process::Command;
use std::process::Stdio;

use crate::POD;
use crate::run;

#[test]
fn an_error_is_one_line_with_its_place_and_nothing_is_written() {
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
    // With `--on-mistake=warn` the Pod's status annotation contains the mistakes.
    let ran = run(&["inject", "--on-mistake=warn"], &bad);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("gitvolume.dev/status"), "{}", ran.out);
}

#[test]
fn annotations_on_the_wrong_level_are_reported() {
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
fn a_check_sets_the_exit_code_and_writes_nothing() {
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
fn patch_accepts_the_diff() {
    let before = format!("a: 1\n---\n{POD}---\nb: 2\n---\n{POD}");
    let ran = run(&["diff"], &before);
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    let injected = run(&["inject"], &before).out;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    let patch = directory.path().join("patch");
    std::fs::write(&file, &before).unwrap();
    // The diff names standard input; git needs the name of the file.
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
fn invalid_yaml_is_an_error_that_quotes_nothing() {
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
fn a_closed_pipe_is_no_error() {
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

/// `inject` of an injected and then edited manifest equals `inject` of the edited original.
#[test]
fn an_edit_of_an_injected_manifest_is_injected_anew() {
    let value = |text: &str| serde_saphyr::from_str::<serde_json::Value>(text).unwrap();
    let injected = run(&["inject"], POD).out;
    let site = "    gitvolume.dev/repo: https://git.example/site.git # the site\n";
    for line in [
        "gitvolume.dev/ref: v1",
        "gitvolume.dev/size-limit: 1Gi",
        "gitvolume.dev/read-only: \"false\"",
        "gitvolume.dev/mount-path: /other",
        "gitvolume.dev/resources.limits.cpu: 200m",
        "gitvolume.dev/resources.requests.memory: 64Mi",
        "gitvolume.dev/period: 30s",
        "gitvolume.dev/secret: keys",
        "gitvolume.dev/mode: once",
        "gitvolume.dev/depth: \"0\"",
        "gitvolume.dev/user: \"1000\"",
        "gitvolume.dev/medium: memory",
        "gitvolume.dev/link: current",
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
        let explanation = run(&["explain"], &edited).out;
        assert!(
            explanation.contains("a new Pod would differ: "),
            "{line}: {explanation}"
        );
    }
    // With other settings the injection differs.
    let ran = run(&["inject", "--check", "--syncer-image=other:1"], &injected);
    assert_eq!(ran.code, 1, "{}", ran.err);
    // After an edit by hand too.
    let edited = injected.replace("restartPolicy: Always", "tty: false");
    assert_eq!(run(&["inject", "--check"], &edited).code, 1);
    assert_eq!(value(&run(&["inject"], &edited).out), value(&injected));
    let edited = injected.replace("gitvolume.dev/repo: https", "example.com/x: https");
    let ran = run(&["inject"], &edited);
    assert!(!ran.out.contains("gitvolume-content"), "{}", ran.out);
}

#[test]
fn an_explanation_shows_how_a_new_pod_would_differ() {
    let injected = run(&["inject"], POD).out;
    let explanation = run(&["explain"], &injected).out;
    assert!(
        explanation.contains("a new Pod would get the same"),
        "{explanation}"
    );
    let edited = injected.replace("# the site", "\n    gitvolume.dev/size-limit: 1Gi");
    let explanation = run(&["explain"], &edited).out;
    assert!(
        explanation.contains("volume gitvolume-content: emptyDir"),
        "{explanation}"
    );
    assert!(
        !explanation.contains("a new Pod would get the same"),
        "{explanation}"
    );
}

/// An object in a file is checked as by the API server, and a rejected one applies to no Pod.
#[test]
fn an_object_that_the_api_server_rejects_is_an_error() {
    let object = |spec: &str| {
        format!(
            "apiVersion: gitvolume.dev/v1alpha1\nkind: GitVolume\nmetadata: {{name: site, \
             namespace: shop}}\nspec: {spec}\n---\n{POD}"
        )
    };
    let start = "error: -:document 1 (GitVolume shop/site): GitVolume shop/site: ";
    for (spec, rest) in [
        (
            "{podSelector: {app: web}}",
            "spec.podSelector.app: unknown field; expected matchExpressions, matchLabels",
        ),
        (
            "{podSelector: {matchlabels: {app: web}}}",
            "spec.podSelector.matchlabels: unknown field; did you mean matchLabels?",
        ),
        (
            "{podSelector: app=web}",
            "spec.podSelector: \"app=web\": expected a map of matchExpressions, matchLabels",
        ),
        (
            "{podSelector: {matchLabels: {app: 1}}}",
            "spec.podSelector.matchLabels[app]: 1: expected a string; in YAML, put it in quotes",
        ),
        (
            "{podSelector: {matchExpressions: [{key: a}]}}",
            "spec.podSelector.matchExpressions[0].operator: missing",
        ),
        (
            "{namespaceSelector: {}}",
            "spec.namespaceSelector: unknown field; ",
        ),
        (
            "{selector: {matchLabels: {app: web}}}",
            "spec.selector: unknown field; did you mean podSelector?",
        ),
        (
            "{branch: main}",
            "spec.branch: unknown field; did you mean ref?",
        ),
        (
            "{mount-path: /a}",
            "spec.mount-path: unknown field; did you mean mountPath?",
        ),
        (
            "{depth: \"1\"}",
            "spec.depth: \"1\": expected a whole number, without quotes",
        ),
        (
            "{readOnly: \"false\"}",
            "spec.readOnly: \"false\": expected true or false, without quotes",
        ),
        (
            "{containers: web}",
            "spec.containers: \"web\": expected a list",
        ),
        (
            "{resources: {limits: {gpu: 1}}}",
            "spec.resources.limits.gpu: unknown field; expected cpu, ephemeral-storage, memory",
        ),
        (
            "{period: 5 min}",
            "spec.period: \"5 min\": expected a duration such as 30s, 5m or 1h30m; write \"5m\"\n",
        ),
    ] {
        let ran = run(&["inject"], &object(spec));
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{spec}");
        assert!(
            ran.err.contains(&format!("{start}{rest}")),
            "{spec}: {}",
            ran.err
        );
        assert_eq!(
            ran.err.matches("GitVolume shop/site): ").count(),
            1,
            "{spec}: {}",
            ran.err
        );
        assert_eq!(run(&["explain"], &object(spec)).code, 2, "{spec}");
    }
    let wrong = object("{}").replace("v1alpha1", "v1");
    let ran = run(&["inject"], &wrong);
    assert!(
        ran.err
            .contains("apiVersion: \"gitvolume.dev/v1\": expected gitvolume.dev/v1alpha1 or gitvolume.dev/v1beta1"),
        "{}",
        ran.err
    );
    let wrong = object("{}").replace("kind: GitVolume", "kind: Gitvolume");
    let ran = run(&["inject"], &wrong);
    assert!(
        ran.err
            .contains("kind: \"Gitvolume\": expected GitVolume or ClusterGitVolume"),
        "{}",
        ran.err
    );
    let right = object(
        "{repo: 'https://git.example/a', depth: 1, readOnly: false, user: 1000, podSelector: {matchLabels: {app: web}}}",
    );
    let ran = run(&["inject"], &right);
    assert_eq!(ran.code, 0, "{}", ran.err);
}

/// Warnings and errors suggest the intended spelling, where it is known.
#[test]
fn messages_suggest_the_intended_spelling() {
    let site = "gitvolume.dev/repo: https://git.example/site.git # the site";
    for (lines, code, sentence) in [
        (
            "gitvolume.dev/repo: https://git.example/site.git\n    gitvolume.dev/branch: main",
            0,
            "warning: -:document 1 (Pod web): gitvolume.dev/branch: unknown annotation; did you mean gitvolume.dev/ref?\n",
        ),
        (
            "gitvolume.dev/repo: https://git.example/site.git\n    gitvolume.dev/period: \"60\"",
            2,
            "gitvolume.dev/period: \"60\": expected a duration such as 30s, 5m or 1h30m; write \"60s\"\n",
        ),
        (
            "gitvolume.dev/repo: https://git.example/site.git\n    gitvolume.dev/subdir: /public/",
            2,
            "; write \"public\"\n",
        ),
        (
            "gitvolume.dev/repo: https://github.com/a/b/tree/main/docs",
            0,
            "use https://github.com/a/b, gitvolume.dev/ref: main, gitvolume.dev/subdir: docs\n",
        ),
        (
            "gitvolume.dev/repo: https://git.example/site.git\n    gitvolume.dev/ref: 1a2b3c4",
            0,
            "gitvolume.dev/ref: \"1a2b3c4\" looks like an abbreviated commit hash",
        ),
    ] {
        let ran = run(&["inject"], &POD.replace(site, lines));
        assert_eq!(ran.code, code, "{}", ran.err);
        assert!(ran.err.contains(sentence), "{sentence}: {}", ran.err);
    }
    let ran = run(&["inject", "--config=/nowhere"], POD);
    assert!(ran.err.starts_with("error: "), "{}", ran.err);
}

#[test]
fn without_the_status_all_injected_parts_are_removed_and_ambiguous_ones_are_reported() {
    let injected = run(&["inject"], POD).out;
    let lines = injected
        .lines()
        .filter(|line| !line.contains("gitvolume.dev/status"));
    let bare: String = lines.flat_map(|line| [line, "\n"]).collect();
    let ran = run(&["uninject"], &bare);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, POD, ""));
    assert_eq!(run(&["uninject", "--check"], &bare).code, 1);
    let ran = run(&["inject"], &bare);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let secrets = bare.replace("spec:\n", "spec:\n  imagePullSecrets: [{name: a}]\n");
    let ran = run(&["uninject"], &secrets);
    assert!(
        ran.err.contains("its imagePullSecrets are kept"),
        "{}",
        ran.err
    );
    let old = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers: [{name: a, image: a, \
               volumeMounts: [{name: src, mountPath: /a}]}]\n  volumes: [{name: src, gitRepo: {repository: \
               'https://git.example/a.git'}}]\n";
    let injected = run(&["inject"], old).out;
    assert!(injected.contains("gitvolume.dev/status"), "{injected}");
    let bare = injected.replace("gitvolume.dev/status", "example.com/status");
    for command in ["uninject", "inject"] {
        let ran = run(&[command], &bare);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
        assert!(
            ran.err
                .contains("gitvolume.dev/status is missing or unreadable"),
            "{}",
            ran.err
        );
    }
}
