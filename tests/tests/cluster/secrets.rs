//! Private repositories, and the errors for wrong credentials.

use std::thread;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::installation::git_host::GitHost;
use tests::installation::git_host::PASSWORD;
use tests::installation::git_host::USER;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::kubectl::Kubectl;

use crate::app::READY;
use crate::app::SYNCER;
use crate::app::shell_pod;

fn secret(name: &str, data: Value) -> String {
    let metadata = json!({"name": name});
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
        .to_string()
}

fn private_pod(name: &str, url: &str) -> String {
    let annotations = json!({
        "gitvolume.dev/repo": url,
        "gitvolume.dev/secret": name,
        "gitvolume.dev/period": "1s",
    });
    shell_pod(name, annotations, "cat /git/file && exec sleep 3600").to_string()
}

/// Waits until the syncer's last log line contains one of these texts; the app must not have
/// started.
fn last_line_says(kubectl: &Kubectl, pod: &str, words: &[&str]) -> Result<(), String> {
    eventually(&format!("{pod}: {words:?}"), READY, || {
        let log = kubectl.logs(pod, SYNCER)?;
        let last = log.lines().last().unwrap_or_default().to_lowercase();
        if words.iter().all(|word| last.contains(word)) {
            Ok(())
        } else {
            Err(log)
        }
    })?;
    match kubectl.logs(pod, "app") {
        Err(error) if error.contains("PodInitializing") => Ok(()),
        started => Err(format!("{pod}: the app has started: {started:?}")),
    }
}

pub(crate) fn ssh_works_with_the_right_keys_and_reports_which_one_is_wrong(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let site = host.repository("site")?;
    site.commit(&[("file", "content\n")])?;
    let keys = host.keys();

    for (name, data) in [
        (
            "right",
            json!({"ssh": keys.client, "known_hosts": keys.known_hosts}),
        ),
        (
            "wrong-host-key",
            json!({"ssh": keys.client, "known_hosts": keys.wrong_known_hosts}),
        ),
        ("no-known-hosts", json!({"ssh": keys.client})),
        (
            "wrong-key",
            json!({"ssh": keys.stranger, "known_hosts": keys.known_hosts}),
        ),
        ("no-key", json!({"known_hosts": keys.known_hosts})),
    ] {
        namespace.apply(&secret(name, data))?;
        namespace.apply(&private_pod(name, &site.ssh()))?;
    }
    namespace.wait_ready("right", READY)?;
    namespace.wait_for_log("right", "app", "content\n")?;
    last_line_says(&namespace, "wrong-host-key", &["host key"])?;
    last_line_says(&namespace, "no-known-hosts", &["known_hosts"])?;
    last_line_says(&namespace, "wrong-key", &["key"])?;
    last_line_says(&namespace, "no-key", &["key"])?;

    // `kubectl describe` shows the same to a user, from the probe.
    eventually("the probe's words in the events", READY, || {
        let output = namespace.describe("pod", "wrong-host-key")?;
        if output.to_lowercase().contains("host key") {
            Ok(())
        } else {
            Err(output)
        }
    })?;
    Ok(())
}

pub(crate) fn http_uses_the_secrets_password_and_never_shows_it(world: &World) -> TestResult {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let site = host.repository("site")?;
    site.commit(&[("file", "content\n")])?;

    for (name, password) in [("right", PASSWORD), ("wrong", "wr0ng-passw0rd")] {
        namespace.apply(&secret(
            name,
            json!({"username": USER, "password": password}),
        ))?;
        let pod = private_pod(name, &site.private_http());
        // At this log level every command and its output is logged.
        namespace.apply(&pod)?;
    }
    namespace.wait_ready("right", READY)?;
    namespace.wait_for_log("right", "app", "content\n")?;
    last_line_says(&namespace, "wrong", &["password"])?;

    // Processes live for milliseconds, so their command lines and environments are read without a
    // pause until the last commit is published, for a minute at most. git runs only for a new
    // commit.
    let watch = "end=$(($(date +%s) + 60)); \
        until grep -q 'content 4' /gitvolume/content/file || [ $(date +%s) -ge $end ]; do \
        cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; done | tr '\\0' '\\n' | sort -u";
    let mut everything = thread::scope(|scope| {
        let commits = scope.spawn(|| {
            for n in 0..5 {
                site.commit(&[("file", &format!("content {n}\n"))])?;
                thread::sleep(Duration::from_millis(500));
            }
            Ok::<_, anyhow::Error>(())
        });
        let watched = namespace.exec("right", Some(SYNCER), &["sh", "-c", watch]);
        commits.join().map_err(|_| "no commits".to_owned())??;
        Ok::<_, libtest_mimic::Failed>(watched?)
    })?;
    assert!(everything.contains("fetch"), "{everything}");
    for pod in ["right", "wrong"] {
        everything += &namespace.logs(pod, SYNCER)?;
        everything += &namespace.run(&["get", "pod", pod, "-o=json"])?;
    }
    everything += &namespace.run(&["get", "events", "-o=json"])?;
    everything += &world.kubectl().run(&[
        "logs",
        "--namespace=gitvolume-system",
        "--selector=app.kubernetes.io/name=gitvolume",
        "--tail=-1",
    ])?;
    // The parts that no quoting changes; JSON writes the quote as \".
    for needle in ["p4ss", "(word)", "wr0ng-passw0rd"] {
        assert!(!everything.contains(needle), "{needle} is in\n{everything}");
    }
    Ok(())
}
