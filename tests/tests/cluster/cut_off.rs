//! The webhook without the API server, without etcd, or without the API server's responses.

use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use tests::eventually::eventually;
use tests::installation::load::Load;
use tests::installation::product::NAMESPACE;
use tests::installation::product::RELEASE;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::cut::Cut;
use tests::kubernetes::namespace::Namespace;

use crate::app::READY;
use crate::app::shell_pod;
use crate::replicas::RATE;
use crate::replicas::all_are_ready;
use crate::replicas::begin;
use crate::replicas::begin_with;
use crate::replicas::elsewhere;
use crate::replicas::loaded_pod;
use crate::replicas::metric;
use crate::replicas::replicas;

/// Runs alone: for some seconds there is no API server.
pub(crate) fn admissions_succeed_after_the_api_server_restarts(world: &World) -> TestResult {
    let Some(plane) = world.cluster().control_plane() else {
        return elsewhere();
    };
    let namespace = world.namespace(&[])?;
    let replicas = replicas(world)?;
    let load = begin(plane, &namespace)?;
    std::thread::sleep(Duration::from_secs(2));
    plane.restart_api_server()?;
    let ready = Instant::now();
    std::thread::sleep(Duration::from_secs(5));
    let tally = load.end()?;
    eprintln!("an API server that restarts: {tally}");
    assert_eq!(tally.bare, 0, "{tally}");
    for failure in tally.refused.iter().chain(&tally.unanswered) {
        // Errors of a starting API server are its own, not ours.
        assert!(!failure.said.contains("gitvolume"), "{tally}");
        assert!(failure.at <= ready + Duration::from_secs(1), "{tally}");
    }
    all_are_ready(&replicas)?;
    Ok(())
}

/// Runs alone: for half a minute the API server can store nothing, and so creates no Pod. The test
/// sends the reviews to the replicas itself.
pub(crate) fn the_webhook_responds_while_etcd_is_suspended_and_admissions_succeed_afterwards(
    world: &World,
) -> TestResult {
    let Some(plane) = world.cluster().control_plane() else {
        return elsewhere();
    };
    let namespace = world.namespace(&[])?;
    let replicas = replicas(world)?;
    let (_dir, ca) = ca(world)?;
    let name = format!("{RELEASE}.{NAMESPACE}.svc");
    let review = review(namespace.name());
    plane.pause_etcd()?;
    let paused = Instant::now();
    let meanwhile = (|| -> TestResult {
        let each = RATE / u32::try_from(replicas.len())?;
        let ask = |replica: &String| {
            let address = format!("{replica}:10250").parse()?;
            Load::of_reviews(&name, address, &ca, &review, each)
        };
        let loads: Vec<Load> = replicas.iter().map(ask).collect::<Result<_, _>>()?;
        while paused.elapsed() < Duration::from_secs(30) {
            all_are_ready(&replicas)?;
            std::thread::sleep(Duration::from_secs(1));
        }
        for load in loads {
            let tally = load.end()?;
            eprintln!("a replica during etcd's silence: {tally}");
            assert!(tally.injected > 1000, "{tally}");
            assert_eq!(tally.failed(), 0, "{tally}");
        }
        Ok(())
    })();
    plane.resume_etcd()?;
    meanwhile?;
    eventually("an API server that stores", READY, || {
        world.kubectl().run(&["get", "--raw", "/readyz"])
    })?;
    let load = begin(plane, &namespace)?;
    std::thread::sleep(Duration::from_secs(5));
    let tally = load.end()?;
    eprintln!("after etcd's silence: {tally}");
    assert_eq!(tally.failed(), 0, "{tally}");
    all_are_ready(&replicas)?;
    Ok(())
}

/// Runs alone: for a while the replicas receive no watch events.
pub(crate) fn replicas_without_a_watch_serve_the_last_known_objects_and_report_their_age(
    world: &World,
) -> TestResult {
    let Some(plane) = world.cluster().control_plane() else {
        return elsewhere();
    };
    let namespace = world.namespace(&[("gitvolume.dev/auto-inject", "enabled")])?;
    let replicas = replicas(world)?;
    namespace.apply(&object("known"))?;
    eventually("an object that both replicas know", READY, || {
        is_injected_with(&namespace, "known")
    })?;
    let load = begin_with(plane, &namespace, &loaded_pod(json!({})))?;

    let cut = Cut::between(&replicas, plane)?;
    let stale = |is_expected: fn(f64) -> bool| {
        replicas
            .iter()
            .try_for_each(|replica| match metric(replica, "objects_stale_seconds")? {
                seconds if is_expected(seconds) => Ok(()),
                seconds => Err(format!("{replica}: {seconds} s")),
            })
    };
    eventually("replicas that say how old it is", READY, || {
        stale(|seconds| seconds >= 1.0)
    })?;
    namespace.apply(&object("new"))?;
    eventually("what is known growing older", READY, || {
        stale(|seconds| seconds >= 5.0)
    })?;
    is_injected_with(&namespace, "known")?;
    all_are_ready(&replicas)?;

    drop(cut);
    eventually("replicas that hear of changes again", READY, || {
        stale(|seconds| seconds == 0.0)
    })?;
    eventually("the object as it is now", READY, || {
        is_injected_with(&namespace, "new")
    })?;
    let tally = load.end()?;
    eprintln!("replicas whose watch is cut: {tally}");
    assert_eq!(tally.failed(), 0, "{tally}");
    Ok(())
}

/// A GitVolume for each Pod of its namespace, with this ref.
fn object(reference: &str) -> String {
    json!({
        "apiVersion": "gitvolume.dev/v1alpha1", "kind": "GitVolume",
        "metadata": {"name": "site"},
        "spec": {"repo": "https://git.example/site.git", "ref": reference, "podSelector": {}},
    })
    .to_string()
}

/// Checks by ten dry runs, which reach any replica, that Pods are injected with this ref.
fn is_injected_with(namespace: &Namespace, reference: &str) -> Result<(), String> {
    let pod = shell_pod("asked", json!({}), "exec sleep 3600").to_string();
    for _ in 0..10 {
        let made = namespace.create_with(&["--dry-run=server", "-o=json"], &pod)?;
        if !made.contains(&format!("\\\"{reference}\\\""))
            && !made.contains(&format!("={reference}\""))
        {
            return Err(made);
        }
    }
    Ok(())
}

/// The AdmissionReview for an annotated Pod.
fn review(namespace: &str) -> Value {
    let mut pod = loaded_pod(json!({"gitvolume.dev/repo": "https://git.example/site.git"}));
    pod["metadata"]["namespace"] = json!(namespace);
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "operation": "CREATE", "namespace": namespace, "dryRun": true,
            "userInfo": {"username": "tests"},
            "object": pod, "oldObject": null,
        },
    })
}

/// The CA that the API server trusts for our replicas, as a file.
fn ca(world: &World) -> Result<(TempDir, PathBuf), Box<dyn std::error::Error>> {
    let kind = "mutatingwebhookconfiguration";
    let known = world.kubectl().get_json(&[kind, RELEASE])?;
    let bundle = known["webhooks"][0]["clientConfig"]["caBundle"].as_str();
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("ca.crt");
    std::fs::write(&file, STANDARD.decode(bundle.ok_or("no caBundle")?)?)?;
    Ok((dir, file))
}
