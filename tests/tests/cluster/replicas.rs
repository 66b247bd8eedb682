//! The webhook's replicas on the node: who they are, how they are, and what a load makes of them.

use serde_json::Value;
use serde_json::json;
use tests::control_plane::ControlPlane;
use tests::eventually::eventually;
use tests::http;
use tests::load::Load;
use tests::metrics;
use tests::namespace::Namespace;
use tests::product::NAMESPACE;
use tests::world::TestResult;
use tests::world::World;

use crate::app::READY;
use crate::app::shell_pod;

/// Admissions a second.
pub(crate) const RATE: u32 = 200;

/// For a cluster that is not ours: its programs are out of reach.
pub(crate) fn elsewhere() -> TestResult {
    eprintln!("passed over: it needs the control plane's own programs");
    Ok(())
}

/// Begins to ask for an annotated Pod.
pub(crate) fn begin(plane: &ControlPlane, namespace: &Namespace) -> Result<Load, String> {
    let annotations = json!({"gitvolume.dev/repo": "https://git.example/site.git"});
    begin_with(plane, namespace, &loaded_pod(annotations))
}

/// Begins to ask for a Pod that is to be injected, when the node knows the way to the replicas: it
/// learns it a moment after they are ready.
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

/// A Pod that can be asked for again and again.
pub(crate) fn loaded_pod(annotations: Value) -> Value {
    let mut pod = shell_pod("", annotations, "exec sleep 3600");
    pod["metadata"] = json!({
        "generateName": "load-", "annotations": pod["metadata"]["annotations"],
    });
    pod
}

/// Waits until no replica is on its way in or out.
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

/// Asks the replicas themselves: what the API server says about them may be old.
pub(crate) fn all_are_ready(replicas: &[String]) -> Result<(), String> {
    for replica in replicas {
        http::get(replica, 8080, "/readyz")?;
    }
    Ok(())
}

/// The value of one of a replica's metrics, by its name without our prefix.
pub(crate) fn metric(replica: &str, name: &str) -> Result<f64, String> {
    metrics::value(&http::get(replica, 8080, "/metrics")?, name)
}
