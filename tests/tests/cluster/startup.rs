//! How much later a Pod is Ready because of its repository: a figure that the test prints.

use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;
use tests::installation::git_host::GitHost;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::kubectl::Kubectl;

use crate::app::READY;
use crate::app::web_pod;

/// Starts of each kind of Pod; the figure is the difference of the medians.
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

pub(crate) fn a_pod_with_a_repository_is_ready_soon_after_one_without(world: &World) -> TestResult {
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
    let (mut times_with, mut times_without) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        times_without.push(time_to_ready(&namespace, &without)?);
        times_with.push(time_to_ready(&namespace, &with)?);
    }
    for times in [&mut times_with, &mut times_without] {
        times.sort_unstable();
    }
    let (with, without) = (times_with[STARTS / 2], times_without[STARTS / 2]);
    eprintln!(
        "start-up: Ready after {with:.2?} with a repository, {without:.2?} without, {:.2?} more ({STARTS} each: {times_with:.2?}, {times_without:.2?})",
        with.saturating_sub(without)
    );
    Ok(())
}
