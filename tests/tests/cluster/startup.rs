//! How much later a Pod is Ready because of its repository: a figure that the test prints, beside that
//! of a sidecar that does nothing. The kubelet looks at its containers and runs their startup probes once
//! a second, which no sidecar can change.

use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;
use tests::installation::git_host::GitHost;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::kubectl::Kubectl;
use tests::oci::images::BUSYBOX;

use crate::app::READY;
use crate::app::web_pod;

/// Starts of each kind of Pod; the figure is their median.
const STARTS: usize = 5;

/// The time from the Pod's creation to its condition Ready, as a client sees it.
fn time_to_ready(namespace: &Kubectl, pod: &Value) -> Result<Duration, String> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let began = Instant::now();
    namespace.apply(&pod.to_string())?;
    namespace.wait_ready(name, READY)?;
    let took = began.elapsed();
    namespace.delete("pod", name)?;
    Ok(took)
}

pub(crate) fn a_pod_with_a_repository_becomes_ready_and_the_time_is_printed(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let site = host.repository("site")?;
    site.commit(&[("index.html", "repository: one\n")])?;
    let with = web_pod(
        "with",
        json!({
            "gitvolume.dev/repo": site.http(),
            "gitvolume.dev/mount-path": "/usr/share/nginx/html",
        }),
    );
    let mut without = web_pod("without", json!({}));
    without["spec"]["containers"][0]["command"] = json!(["nginx"]);
    let mut idle = without.clone();
    idle["metadata"]["name"] = json!("idle");
    let mut sidecar = without["spec"]["containers"][0].clone();
    sidecar["name"] = json!("sidecar");
    sidecar["image"] = json!(BUSYBOX);
    sidecar["command"] = json!(["sleep", "1000000"]);
    sidecar["restartPolicy"] = json!("Always");
    sidecar["startupProbe"] = json!({"exec": {"command": ["true"]}, "periodSeconds": 1});
    sidecar["readinessProbe"] = Value::Null;
    idle["spec"]["initContainers"] = json!([sidecar]);
    let mut kinds = [
        ("without a sidecar", without, Vec::new()),
        ("with a sidecar that does nothing", idle, Vec::new()),
        ("with a repository", with, Vec::new()),
    ];
    for _ in 0..STARTS {
        for (_, pod, times) in &mut kinds {
            times.push(time_to_ready(&namespace, pod)?);
        }
    }
    for (kind, _, times) in &mut kinds {
        times.sort_unstable();
        let median = times[STARTS / 2];
        eprintln!("start-up: Ready after {median:.2?} {kind} (all: {times:.2?})");
    }
    Ok(())
}
