//! Pods for which the API server calls the webhook, and Pods for which it does not.

use serde_json::json;
use tests::eventually::eventually;
use tests::installation::git_host::GitHost;
use tests::installation::product;
use tests::installation::world::TestResult;
use tests::installation::world::World;

use crate::app::READY;
use crate::app::restricted;
use crate::app::shell_pod;

pub(crate) fn a_namespace_under_the_restricted_level_admits_and_runs_it(
    world: &World,
) -> TestResult {
    let remote = world.namespace(&[])?;
    let host = GitHost::start(&remote)?;
    let site = host.repository("site")?;
    site.commit(&[("file", "content\n")])?;

    let namespace = world.namespace(&[("pod-security.kubernetes.io/enforce", "restricted")])?;
    let mut pod = shell_pod(
        "app",
        json!({"gitvolume.dev/repo": site.http()}),
        "cat /git/file && exec sleep 3600",
    );
    pod["spec"]["containers"][0]["securityContext"] = restricted();
    namespace.apply(&pod.to_string())?;
    namespace.wait_ready("app", READY)?;
    namespace.wait_for_log("app", "app", "content\n")?;
    Ok(())
}

/// Runs alone: meanwhile no other Pod can be injected.
pub(crate) fn without_the_webhook_other_pods_start_and_annotated_ones_are_refused_by_name(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    product::scale(world.kubectl(), 0)?;
    let outcome = (|| -> TestResult {
        let plain = shell_pod("plain", json!({"example.com/x": "y"}), "exec sleep 3600");
        namespace.apply(&plain.to_string())?;
        namespace.wait_ready("plain", READY)?;

        let annotations = json!({"gitvolume.dev/repo": "https://git.example/site.git"});
        let annotated = shell_pod("annotated", annotations, "exec sleep 3600").to_string();
        // The Service's last endpoint may disappear shortly after its Pod.
        let refusal = eventually("a refusal", READY, || match namespace.apply(&annotated) {
            Err(refusal) => Ok(refusal),
            Ok(output) => {
                namespace.delete("pod", "annotated")?;
                Err(output)
            }
        })?;
        assert!(refusal.contains("pods.gitvolume.dev"), "{refusal}");
        Ok(())
    })();
    product::scale(world.kubectl(), 2)?;
    outcome
}
