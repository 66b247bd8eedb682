//! Traces of an admission: annotations, audit log, and nothing else in the namespace.

use serde_json::Value;
use serde_json::json;
use tests::installation::serving::WEBHOOK;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::namespace::Namespace;

fn pod(annotations: Value) -> String {
    pod_on("linux", annotations)
}

fn pod_on(system: &str, annotations: Value) -> String {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "annotations": annotations},
        "spec": {"os": {"name": system}, "containers": [{"name": "web", "image": "nginx"}]},
    });
    pod["metadata"]["annotations"]["gitvolume.dev/repo"] = json!("https://git.example/site.git");
    pod.to_string()
}

/// The annotations of the audit event for a Pod of a namespace.
fn audited(world: &World, namespace: &Namespace) -> Result<Value, String> {
    let plane = world.cluster().control_plane();
    let log = plane
        .ok_or("the audit log is our own API server's")?
        .audit_log();
    let mut lines = log.lines().filter(|line| line.contains(WEBHOOK));
    let line = lines.find(|line| line.contains(&format!("/{}/pods", namespace.name())));
    let line = line.ok_or_else(|| format!("{}: no decision in the audit log", namespace.name()))?;
    let line: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    Ok(line["annotations"].clone())
}

pub(crate) fn each_decision_is_in_the_audit_log_with_reason_and_configuration(
    world: &World,
) -> TestResult {
    let mut hashes = Vec::new();
    for (pod, decision, reason) in [
        (pod(json!({})), "inject", "requested"),
        (pod_on("windows", json!({})), "skip", "windows"),
        (pod(json!({"gitvolume.dev/mode": "always"})), "deny", "mode"),
    ] {
        let namespace = world.namespace(&[])?;
        let output = namespace.create(&pod);
        assert_eq!(output.is_err(), decision == "deny", "{output:?}");
        let audited = audited(world, &namespace)?;
        let of = |key: &str| {
            audited[format!("{WEBHOOK}/{key}")]
                .as_str()
                .unwrap_or_default()
        };
        assert_eq!(
            (of("decision"), of("reason")),
            (decision, reason),
            "{audited}"
        );
        hashes.push(of("config-hash").to_owned());
    }
    assert_eq!(hashes[0].len(), 16, "{hashes:?}");
    hashes.dedup();
    assert_eq!(hashes.len(), 1, "one configuration: {hashes:?}");
    Ok(())
}

/// All objects in a namespace, by kind and name.
fn everything(namespace: &Namespace) -> Result<String, String> {
    let kinds = namespace.run(&[
        "api-resources",
        "--namespaced",
        "--verbs=list",
        "--output=name",
    ])?;
    let kinds: Vec<&str> = kinds.lines().collect();
    namespace.run(&[
        "get",
        &kinds.join(","),
        "--output=name",
        "--ignore-not-found",
    ])
}

pub(crate) fn a_dry_run_leaves_nothing_behind(world: &World) -> TestResult {
    let namespace = world.namespace(&[])?;
    let before = everything(&namespace)?;
    assert!(before.contains("serviceaccount/default"), "{before}");
    let (made, _) = namespace.created(&["--dry-run=server"], &pod(json!({})))?;
    let name = &made[0]["spec"]["initContainers"][0]["name"];
    assert_eq!(name, "gitvolume", "it was asked of us: {}", made[0]);
    let wrong = pod(json!({"gitvolume.dev/mode": "always"}));
    assert!(namespace.created(&["--dry-run=server"], &wrong).is_err());
    assert_eq!(everything(&namespace)?, before);
    Ok(())
}

/// The API server never calls the webhook for them, even with annotations: the cluster's own Pods
/// must not wait for a webhook.
pub(crate) fn pods_of_system_namespaces_are_never_injected(world: &World) -> TestResult {
    let system = world.kubectl().in_namespace("kube-system");
    let pod = pod(json!({}));
    // There is no controller that creates a ServiceAccount.
    let _ = system.run(&["create", "serviceaccount", "default"]);
    let (made, _) = system.created(&["--dry-run=server"], &pod)?;
    assert!(made[0]["spec"]["initContainers"].is_null(), "{}", made[0]);
    Ok(())
}
