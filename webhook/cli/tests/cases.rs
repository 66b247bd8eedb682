//! Manifests from practice, `testdata/cases`, with the commands that people run on them.

use std::fs;
use std::path::Path;

use crate::Ran;
use crate::run_in;

/// Runs a command on one of the manifests.
fn on(args: &[&str], name: &str) -> Ran {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/cases");
    run_in(&cases, &[args, &["-f", name]].concat(), "")
}

fn text(name: &str) -> String {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/cases");
    fs::read_to_string(cases.join(name)).unwrap()
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

/// The password comes from the Secret; the address becomes a flag as usual.
#[test]
fn a_user_name_in_an_address_goes_with_the_named_secret() {
    let ran = on(&["inject"], "user-in-url-annotation.yaml");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    has(
        &ran.out,
        &[
            "--repo=https://acme@azure.example/acme/Handbook/_git/site\n",
            "--secret-dir=/etc/git-secret\n",
            "secretName: handbook-git\n",
        ],
    );
}

#[test]
fn a_user_name_in_an_address_goes_with_the_operators_secret() {
    let args = ["inject", "--config=settings.yaml"];
    let ran = on(&args, "user-in-url-default-secret.yaml");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    has(&ran.out, &["secretName: docs-git\n"]);
    let args = ["explain", "--config=settings.yaml"];
    let explanation = on(&args, "user-in-url-default-secret.yaml").out;
    has(&explanation, &["docs-git   the operator"]);
}

#[test]
fn a_git_repo_volume_with_a_user_name_gets_no_warning_about_credentials() {
    let ran = on(&["inject"], "user-in-url-gitrepo.yaml");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!ran.err.contains("credentials"), "{}", ran.err);
    has(&ran.out, &["secretName: docs-git\n"]);
}

#[test]
fn a_user_name_of_git_sync_v3_is_converted_with_its_secret() {
    let ran = on(&["convert"], "user-in-url-v3-gitsync.yaml");
    assert_eq!(ran.code, 0, "{}", ran.err);
    has(
        &ran.out,
        &[
            "gitvolume.dev/repo: \"https://acme@azure.example/acme/Data/_git/dags\"",
            "gitvolume.dev/secret: dags-git",
        ],
    );
    assert!(!ran.err.contains("skipped:"), "{}", ran.err);
}

#[test]
fn a_deployment_for_windows_by_affinity_gets_no_container() {
    let ran = on(&["inject"], "windows-affinity.yaml");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!ran.out.contains("initContainers"), "{}", ran.out);
    has(&ran.err, &["the webhook skips this Pod: windows"]);
    has(
        &on(&["explain"], "windows-affinity.yaml").out,
        &["skip (windows)"],
    );
}

/// Three kinds are recognised as having a Pod template by its shape; the others are reported, and
/// the exit codes show it.
#[test]
fn other_kinds_are_handled_by_their_shape_or_reported() {
    let named = [
        "(WorkflowTemplate web/report): skipped: gitvolume.dev/mode and 1 more in \
         spec.templates[0].metadata.annotations",
        "(Prometheus web/main): skipped: gitvolume.dev/repo in spec.podMetadata.annotations",
        "(SparkApplication web/etl): skipped: gitvolume.dev/repo in spec.driver.annotations",
    ];
    for (args, code) in [
        (&["inject"][..], 0),
        (&["inject", "--check"], 1),
        (&["diff"], 1),
        (&["explain"], 0),
    ] {
        let ran = on(args, "other-kinds.yaml");
        assert_eq!(ran.code, code, "{args:?}: {}", ran.err);
        has(&ran.err, &named);
    }
    let injected = on(&["inject"], "other-kinds.yaml").out;
    assert_eq!(injected.matches("command:\n").count(), 3, "{injected}");
    let explanation = on(&["explain"], "other-kinds.yaml").out;
    has(
        &explanation,
        &[
            "(Service web/site): inject",
            "(DeploymentConfig web/site): inject",
            "(CloneSet web/site): skip",
        ],
    );
    let ran = on(&["convert"], "other-kinds.yaml");
    assert_eq!(ran.code, 0, "{}", ran.err);
    has(
        &ran.out,
        &["gitvolume.dev/link: current, gitvolume.dev/mount-path: \"/usr/share/nginx\""],
    );
    has(
        &ran.err,
        &["(Prometheus web/main): skipped: container git-sync in spec.containers[0]"],
    );
    assert_eq!(on(&["convert", "--check"], "other-kinds.yaml").code, 1);
}

#[test]
fn containers_that_run_git_clone_are_reported_with_equivalent_annotations() {
    let ran = on(&["convert"], "plain-git-init.yaml");
    assert_eq!((ran.code, &ran.out), (0, &text("plain-git-init.yaml")));
    has(
        &ran.err,
        &[
            "(Deployment web/blog): container clone: skipped: it runs git clone; instead write \
             gitvolume.dev/repo: \"https://git.example/web/blog.git\", gitvolume.dev/ref: \"main\", \
             gitvolume.dev/mount-path: \"/usr/share/nginx/html\"",
            "(Deployment web/blog): container pull: skipped: it runs git on what another",
            "(Deployment web/intranet): container git-clone-repository: skipped: it runs git clone; \
             instead write gitvolume.dev/repo: \"https://git.example/web/intranet.git\"",
            "a Secret with the host's CA as ca.crt",
        ],
    );
    assert_eq!(on(&["convert", "--check"], "plain-git-init.yaml").code, 1);
}

#[test]
fn ephemeral_storage_is_limited_where_each_container_of_the_pod_limits_it() {
    let ran = on(&["inject"], "ephemeral.yaml");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    has(&ran.out, &["ephemeral-storage: 256Mi"]);
    let explanation = on(&["explain"], "ephemeral.yaml").out;
    has(
        &explanation,
        &["limits, because all containers of the Pod have one"],
    );
}

/// 20m to 100m of CPU and 64Mi to 128Mi are within the ratios of 10 and 4.
#[test]
fn the_ratios_of_a_limit_range_are_kept() {
    let ran = on(&["inject"], "limitrange-ratio.yaml");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let explanation = on(&["explain"], "limitrange-ratio.yaml").out;
    has(
        &explanation,
        &["requests cpu 20m, memory 64Mi; limits cpu 100m, memory 128Mi"],
    );
}

/// The token is in the address in the manifest, and so in the injected one; it appears nowhere
/// else.
#[test]
fn explain_shows_no_token_of_a_git_repo_volume() {
    for args in [&["explain"][..], &["explain", "-o", "json"]] {
        let ran = on(args, "gitrepo-mix.yaml");
        assert_eq!(ran.code, 0, "{}", ran.err);
        has(&ran.out, &["https://REDACTED@git.example/old/work.git"]);
        for secret in ["0123456789abcdef", "x-oauth-basic"] {
            assert!(!ran.out.contains(secret), "{}", ran.out);
            assert!(!ran.err.contains(secret), "{}", ran.err);
        }
    }
    let ran = on(&["inject"], "gitrepo-mix.yaml");
    assert!(!ran.err.contains("0123456789abcdef"), "{}", ran.err);
    let status = ran.out.lines().find(|own| own.contains("gitRepos"));
    assert!(!status.unwrap().contains("0123456789abcdef"), "{}", ran.out);
}
