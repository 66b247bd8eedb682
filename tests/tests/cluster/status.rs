//! `gitvolume status` and `gitvolume wait`: which commit runs where, asked from outside.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Output;

use serde_json::Value;
use serde_json::json;
use tests::installation::git_host::GitHost;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::settings;

use crate::app::READY;
use crate::app::shell_pod;
use crate::app::web_pod;

/// Runs the command line for a namespace.
fn gitvolume(kubeconfig: &Path, namespace: &str, args: &[&str]) -> std::io::Result<Output> {
    Command::new(settings::cli_binary())
        .args(args)
        .args(["--namespace", namespace, "--kubeconfig"])
        .arg(kubeconfig)
        .output()
}

fn printed(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{out}{err}")
}

/// The only repository of a Pod in the JSON of `status`, and where its state comes from.
fn repository_of<'a>(printed: &'a Value, pod: &str) -> (&'a Value, &'a Value) {
    let pods = printed["pods"].as_array().into_iter().flatten();
    let mut syncers = pods
        .filter(|own| own["pod"] == pod)
        .map(|own| &own["syncers"][0]);
    let syncer = syncers.next().unwrap_or(&Value::Null);
    (&syncer["repositories"][0], &syncer["source"])
}

pub(crate) fn wait_ends_when_every_pod_has_published_a_pushed_commit(world: &World) -> TestResult {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let site = host.repository("site")?;
    let first = site.commit(&[("index.html", "repository: one\n")])?;
    let annotations = |own: Value| {
        let mut all = json!({
            "gitvolume.dev/repo": site.http(),
            "gitvolume.dev/mount-path": "/usr/share/nginx/html",
            "gitvolume.dev/period": "1s",
        });
        for (key, value) in own.as_object().into_iter().flatten() {
            all[key] = value.clone();
        }
        all
    };
    // One Pod as it is by default, one whose syncer serves HTTP, and one whose syncer has ended.
    let mut pods = [
        web_pod("plain", annotations(json!({}))),
        web_pod(
            "served",
            annotations(json!({"gitvolume.dev/metrics-port": "9300"})),
        ),
        shell_pod(
            "once",
            annotations(json!({"gitvolume.dev/mode": "once"})),
            "sleep 3600",
        ),
    ];
    for pod in &mut pods {
        // The variables of a Service git-host begin with GIT_, which turns polling off.
        pod["spec"]["enableServiceLinks"] = json!(false);
        namespace.apply(&pod.to_string())?;
    }
    for pod in ["plain", "served", "once"] {
        namespace.wait_ready(pod, READY)?;
    }
    let admin = world.kubectl().kubeconfig().to_path_buf();
    let run = |args: &[&str]| gitvolume(&admin, namespace.name(), args);
    let status = run(&["status", "-o", "json"])?;
    assert_eq!(status.status.code(), Some(0), "{}", printed(&status));
    let status: Value = serde_json::from_slice(&status.stdout)?;
    for (pod, source) in [("plain", "file"), ("served", "http"), ("once", "log")] {
        let (repository, from) = repository_of(&status, pod);
        assert_eq!(
            repository["published"]["commit"], *first,
            "{pod}: {status:#}"
        );
        assert_eq!(
            (from, &repository["repo"]),
            (&json!(source), &json!(site.http())),
            "{pod}"
        );
        if source != "log" {
            assert_eq!(repository["poller"], "on", "{pod}");
        }
    }

    let second = site.commit(&[("index.html", "repository: two\n")])?;
    for pod in ["pod/plain", "pod/served"] {
        let waited = run(&["wait", pod, "--revision", &second, "--timeout", "2m"])?;
        assert_eq!(waited.status.code(), Some(0), "{}", printed(&waited));
    }
    let page = namespace.page("plain", 8080, "/")?;
    assert_eq!(page, "repository: two\n", "at once");
    let text = run(&["status", "pod/plain"])?;
    let text = printed(&text);
    assert!(
        text.contains(&second[..12]) && text.contains("on"),
        "{text}"
    );

    // A commit that no Pod has.
    let waited = run(&["wait", "pod/once", "--revision", &second, "--timeout", "2s"])?;
    assert_eq!(waited.status.code(), Some(1), "{}", printed(&waited));
    let expected = format!(
        "note: Pod {}/once: it has published {first}",
        namespace.name()
    );
    assert!(printed(&waited).contains(&expected), "{}", printed(&waited));

    // Also a connection that is open ends.
    namespace.delete("pod", "git-host")?;
    tests::eventually::eventually("the error of the last pass", READY, || {
        let status = run(&["status", "pod/plain"]).map_err(|error| error.to_string())?;
        match status.status.code() {
            Some(1) => Ok(()),
            _ => Err(printed(&status)),
        }
    })?;
    Ok(())
}

/// The Role on the page docs/status.md, which is for Pods whose syncer serves HTTP.
pub(crate) fn the_documented_role_suffices_and_a_missing_one_is_named(world: &World) -> TestResult {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let site = host.repository("site")?;
    let commit = site.commit(&[("index.html", "repository: one\n")])?;
    let annotations = |port: &[(&str, &str)]| {
        let mut all = json!({
            "gitvolume.dev/repo": site.http(),
            "gitvolume.dev/mount-path": "/usr/share/nginx/html",
        });
        for (key, value) in port {
            all[*key] = json!(value);
        }
        all
    };
    let served = [("gitvolume.dev/metrics-port", "9300")];
    namespace.apply(&web_pod("served", annotations(&served)).to_string())?;
    namespace.apply(&web_pod("plain", annotations(&[])).to_string())?;
    for pod in ["served", "plain"] {
        namespace.wait_ready(pod, READY)?;
    }
    let page = fs::read_to_string(settings::root().join("docs/status.md"))?;
    let role = page
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let role = role.ok_or("the page has no Role")?;
    let role = role.replace(
        "namespace: shop",
        &format!("namespace: {}", namespace.name()),
    );
    namespace.apply(&role)?;
    namespace.run(&["create", "serviceaccount", "ci"])?;
    let account = format!("--serviceaccount={}:ci", namespace.name());
    namespace.run(&[
        "create",
        "rolebinding",
        "ci",
        "--role=gitvolume-status",
        &account,
    ])?;
    let token = namespace.run(&["create", "token", "ci"])?;
    let config = namespace.run(&[
        "config",
        "view",
        "--raw",
        "--minify",
        "--flatten",
        "-o=json",
    ])?;
    let mut config: Value = serde_json::from_str(&config)?;
    config["users"][0]["user"] = json!({"token": token.trim()});
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("config");
    fs::write(&file, config.to_string())?;

    let wait = |pod: &str| {
        gitvolume(
            &file,
            namespace.name(),
            &["wait", pod, "--revision", &commit],
        )
    };
    let waited = wait("pod/served")?;
    assert_eq!(waited.status.code(), Some(0), "{}", printed(&waited));
    let refused = wait("pod/plain")?;
    assert_eq!(refused.status.code(), Some(2), "{}", printed(&refused));
    assert!(
        printed(&refused).contains("pods/exec"),
        "{}",
        printed(&refused)
    );
    Ok(())
}
