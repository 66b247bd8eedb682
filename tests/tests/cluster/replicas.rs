//! The webhook's replicas on the node: their addresses, readiness and metrics, and a load on them.

use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::http;
use tests::installation::load::Load;
use tests::installation::product::NAMESPACE;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::control_plane::ControlPlane;
use tests::kubernetes::namespace::Namespace;
use tests::metrics;

use crate::app::READY;
use crate::app::shell_pod;

/// Admissions per second.
pub(crate) const RATE: u32 = 200;

/// Skips the test on an external cluster, whose programs the test cannot control.
pub(crate) fn elsewhere() -> TestResult {
    eprintln!("passed over: it needs the control plane's own programs");
    Ok(())
}

/// Starts to create an annotated Pod.
pub(crate) fn begin(plane: &ControlPlane, namespace: &Namespace) -> Result<Load, String> {
    let annotations = json!({"gitvolume.dev/repo": "https://git.example/site.git"});
    begin_with(plane, namespace, &loaded_pod(annotations))
}

/// Starts to create a Pod that must be injected, once the node routes to the replicas, which
/// happens shortly after they become ready.
pub(crate) fn begin_with(
    plane: &ControlPlane,
    namespace: &Namespace,
    pod: &Value,
) -> Result<Load, String> {
    eventually("a Service that leads to a replica", READY, || {
        namespace.create_with(&["--dry-run=server"], &pod.to_string())
    })?;
    Load::start(plane, namespace.name(), pod, RATE).map_err(|error| format!("{error:#}"))
}

/// A Pod that can be created again and again.
pub(crate) fn loaded_pod(annotations: Value) -> Value {
    let mut pod = shell_pod("", annotations, "exec sleep 3600");
    pod["metadata"] = json!({
        "generateName": "load-", "annotations": pod["metadata"]["annotations"],
    });
    pod
}

/// Waits until no replica is starting or terminating.
pub(crate) fn only_replicas_that_stay(world: &World) -> Result<(), String> {
    let kubectl = world.kubectl().in_namespace(NAMESPACE);
    eventually("two replicas, ready, and no other", READY, || {
        let pods = kubectl.get_json(&["pods"])?;
        let pods = pods["items"].as_array().cloned().unwrap_or_default();
        let ready = pods.iter().filter(|pod| is_ready(pod)).count();
        match (pods.len(), ready) {
            (2, 2) => Ok(()),
            (pods, ready) => Err(format!("{ready} of {pods} are ready")),
        }
    })
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.is_some_and(|conditions| {
        let mut ready = conditions.iter().filter(|one| one["type"] == "Ready");
        ready.any(|one| one["status"] == "True")
    })
}

/// The replicas' addresses.
pub(crate) fn replicas(world: &World) -> Result<Vec<String>, String> {
    only_replicas_that_stay(world)?;
    let pods = world
        .kubectl()
        .in_namespace(NAMESPACE)
        .get_json(&["pods"])?;
    let pods = pods["items"].as_array().cloned().unwrap_or_default();
    let address = |pod: &Value| pod["status"]["podIP"].as_str().map(str::to_owned);
    Ok(pods.iter().filter_map(address).collect())
}

/// Checks the replicas directly: the API server's state may be outdated.
pub(crate) fn all_are_ready(replicas: &[String]) -> Result<(), String> {
    for replica in replicas {
        http::get(replica, 8080, "/readyz")?;
    }
    Ok(())
}

/// The value of one of a replica's metrics; name without our prefix.
pub(crate) fn metric(replica: &str, name: &str) -> Result<f64, String> {
    metrics::value(&http::get(replica, 8080, "/metrics")?, name)
}
