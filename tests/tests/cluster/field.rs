//! Real-world manifests for git-sync v2, v3 and v4: `testdata/field`. Only the images' names and
//! the git host's are changed.

use std::fs;

use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::installation::git_host::GitHost;
use tests::installation::git_host::PASSWORD;
use tests::installation::git_host::USER;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::kubectl::Kubectl;
use tests::oci::images;
use tests::settings;

use crate::app::READY;
use crate::app::SEEN;

/// The images in the manifests, and their replacements here.
const IMAGES: [(&str, &str); 8] = [
    ("k8s.gcr.io/git-sync:v2.0.6", images::SYNCER),
    ("k8s.gcr.io/git-sync:v3.1.1", images::SYNCER),
    ("k8s.gcr.io/git-sync/git-sync:v3.1.6", images::SYNCER),
    ("registry.k8s.io/git-sync/git-sync:v4.3.0", images::SYNCER),
    ("alpine/git:2.32", images::GIT_SERVER),
    ("apache/airflow:2.10.5", images::BUSYBOX),
    ("busybox:1.31", images::BUSYBOX),
    ("nginx:1.17", images::NGINX),
];

/// A manifest with our images, and with this repository in place of its own.
fn manifest(name: &str, repository: &str) -> Result<Value, libtest_mimic::Failed> {
    let path = settings::root().join("tests/testdata/field").join(name);
    let mut text = fs::read_to_string(path)?;
    for (theirs, here) in IMAGES {
        text = text.replace(&format!("image: {theirs}\n"), &format!("image: {here}\n"));
    }
    for theirs in ["git@git.example:org/x.git", "https://git.example/org/x.git"] {
        text = text.replace(theirs, repository);
    }
    Ok(serde_saphyr::from_str(&text)?)
}

fn secret(name: &str, data: Value) -> String {
    let metadata = json!({"name": name});
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
        .to_string()
}

/// Waits until a file in a Pod's container has exactly this content.
fn file_says(
    kubectl: &Kubectl,
    pod: &str,
    container: &str,
    path: &str,
    expected: &str,
) -> Result<(), String> {
    eventually(&format!("{pod}: {path}"), SEEN, || {
        match kubectl.exec(pod, Some(container), &["cat", path])? {
            content if content == expected => Ok(()),
            content => Err(content),
        }
    })
}

pub(crate) fn a_v2_manifest_without_known_hosts_reports_the_remedies_and_runs_with_either(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let repository = host.repository_on("org/x", "master")?;
    repository.commit(&[("file", "one\n")])?;
    let keys = host.keys();
    namespace.apply(&secret("git-creds", json!({"ssh": keys.client})))?;
    namespace.apply(&secret(
        "git-creds-and-hosts",
        json!({"ssh": keys.client, "known_hosts": keys.known_hosts}),
    ))?;

    for (file, list) in [
        ("v2-sidecar.yaml", "containers"),
        ("v2-init.yaml", "initContainers"),
    ] {
        let mut pod = manifest(file, &repository.ssh_as_git())?;
        let name = pod["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        namespace.apply(&pod.to_string())?;
        eventually(&format!("{name}: what to add"), READY, || {
            // If the container has just restarted, its current log may be empty.
            let log = namespace.logs(&name, "git-sync")?;
            if log.contains("known_hosts") && log.contains("GIT_KNOWN_HOSTS=false") {
                Ok(())
            } else {
                Err(log)
            }
        })?;

        let with_hosts = format!("{name}-known-hosts");
        pod["metadata"]["name"] = json!(with_hosts);
        pod["spec"]["volumes"][1]["secret"]["secretName"] = json!("git-creds-and-hosts");
        namespace.apply(&pod.to_string())?;

        let unchecked = format!("{name}-unchecked");
        let mut pod = manifest(file, &repository.ssh_as_git())?;
        pod["metadata"]["name"] = json!(unchecked);
        let env = pod["spec"][list][0]["env"].as_array_mut().ok_or("an env")?;
        env.push(json!({"name": "GIT_KNOWN_HOSTS", "value": "false"}));
        namespace.apply(&pod.to_string())?;

        for name in [with_hosts, unchecked] {
            namespace.wait_ready(&name, READY)?;
            namespace.wait_for_log(&name, "app", "one\n")?;
        }
    }

    repository.commit(&[("file", "two\n")])?;
    for name in ["v2-sidecar-known-hosts", "v2-sidecar-unchecked"] {
        file_says(&namespace, name, "app", "/dags/dags/file", "two\n")?;
    }
    Ok(())
}

pub(crate) fn a_v3_manifest_with_one_dash_flags_serves_pages_through_nginx(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let repository = host.repository_on("org/x", "master")?;
    repository.commit(&[("index.html", "one\n")])?;
    let keys = host.keys();
    namespace.apply(&secret(
        "git-creds",
        json!({"ssh": keys.client, "known_hosts": keys.known_hosts}),
    ))?;
    let pod = manifest("v3.1.1-nginx.yaml", &repository.ssh_as_git())?;
    namespace.apply(&pod.to_string())?;
    namespace.wait_ready("site", READY)?;
    let page = |expected: &str| {
        eventually(&format!("the page {expected:?}"), SEEN, || match namespace
            .page("site", 8080, "/")?
        {
            page if page == expected => Ok(()),
            page => Err(page),
        })
    };
    page("one\n")?;
    repository.commit(&[("index.html", "two\n")])?;
    page("two\n")?;
    Ok(())
}

pub(crate) fn a_v3_manifests_app_reads_the_changes_from_git_at_each_webhook_call(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let repository = host.repository_on("org/x", "master")?;
    repository.commit(&[("same", "0\n"), ("changed", "0\n")])?;
    let pod = manifest("v3.1.6-webhook.yaml", &repository.http())?;
    namespace.apply(&pod.to_string())?;
    namespace.wait_ready("rules", READY)?;
    file_says(
        &namespace,
        "rules",
        "server",
        "/tmp/calls",
        "POST /api/v1/sync\n",
    )?;

    repository.commit(&[("changed", "1\n")])?;
    file_says(&namespace, "rules", "server", "/tmp/changed", "changed\n")?;
    repository.commit(&[("new", "1\n")])?;
    file_says(
        &namespace,
        "rules",
        "server",
        "/tmp/changed",
        "changed\nnew\n",
    )?;
    Ok(())
}

pub(crate) fn a_v4_manifest_with_each_setting_under_both_names_runs(world: &World) -> TestResult {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let repository = host.repository_on("org/x", "master")?;
    repository.commit(&[("dags/one.py", "one\n")])?;
    namespace.apply(&secret(
        "git-credentials",
        json!({"GIT_SYNC_USERNAME": USER, "GIT_SYNC_PASSWORD": PASSWORD}),
    ))?;
    let pod = manifest("v4-airflow.yaml", &repository.private_http())?;
    namespace.apply(&pod.to_string())?;
    namespace.wait_ready("scheduler", READY)?;
    namespace.wait_for_log("scheduler", "scheduler", "one\n")?;
    repository.commit(&[("dags/one.py", "two\n")])?;
    let dag = "/opt/airflow/dags/repo/dags/one.py";
    file_says(&namespace, "scheduler", "scheduler", dag, "two\n")?;
    for container in ["git-sync-init", "git-sync"] {
        let log = namespace.logs("scheduler", container)?;
        assert!(!log.contains("p4ss"), "{log}");
    }
    Ok(())
}
