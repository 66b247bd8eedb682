//! The Pods of the product's tests, as a user would write them.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::kubernetes::kubectl::Kubectl;
use tests::oci::images::BUSYBOX;
use tests::oci::images::NGINX;

/// Timeout for a Pod to become Ready on a busy machine; it usually takes three seconds.
pub(crate) const READY: Duration = Duration::from_secs(180);
/// Timeout for a change on the remote to be published; it usually takes one period.
pub(crate) const SEEN: Duration = Duration::from_secs(120);
/// The injected container.
pub(crate) const SYNCER: &str = "gitvolume";

/// A Pod with these annotations and one container `app` that runs a shell script.
pub(crate) fn shell_pod(name: &str, annotations: Value, script: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "app", "image": BUSYBOX, "imagePullPolicy": "IfNotPresent",
                "command": ["sh", "-c", script],
                "securityContext": restricted(),
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
            }],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    })
}

/// A Pod with these annotations and a container `web` with nginx, which starts only if the page
/// exists already.
pub(crate) fn web_pod(name: &str, annotations: Value) -> Value {
    // The image has its own page at this path, which would hide a missing mount.
    let script = "grep -q repository: /usr/share/nginx/html/index.html || exit 1; exec nginx";
    let mut pod = shell_pod(name, annotations, script);
    let web = &mut pod["spec"]["containers"][0];
    web["name"] = json!("web");
    web["image"] = json!(NGINX);
    web["readinessProbe"] = json!({"httpGet": {"port": 8080, "path": "/"}, "periodSeconds": 1});
    pod
}

/// The fields that the restricted Pod Security level requires of a container.
pub(crate) fn restricted() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "runAsNonRoot": true,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

/// Restart count of a container.
pub(crate) fn restarts(kubectl: &Kubectl, pod: &str, container: &str) -> Result<i64, String> {
    let status = container_status(kubectl, pod, container)?;
    status["restartCount"]
        .as_i64()
        .ok_or_else(|| format!("no restartCount in {status}"))
}

/// The status of a container, init container or not.
pub(crate) fn container_status(
    kubectl: &Kubectl,
    pod: &str,
    container: &str,
) -> Result<Value, String> {
    let pod = kubectl.get_json(&["pod", pod])?;
    ["containerStatuses", "initContainerStatuses"]
        .iter()
        .filter_map(|list| pod["status"][list].as_array())
        .flatten()
        .find(|status| status["name"] == container)
        .cloned()
        .ok_or_else(|| format!("no container {container} in {}", pod["status"]))
}

/// Kills a Pod's syncer like a crash: its PID 1 exits after its child, and the container with it.
pub(crate) fn kill_syncer(kubectl: &Kubectl, pod: &str) -> Result<(), String> {
    // The shell of this command may end with the container, so its result is ignored.
    let before = restarts(kubectl, pod, SYNCER)?;
    let _ = kubectl.exec(pod, Some(SYNCER), &["sh", "-c", "kill -9 -1"]);
    eventually("a new run of the syncer", READY, || {
        let now = restarts(kubectl, pod, SYNCER)?;
        if now > before {
            Ok(())
        } else {
            Err(format!("{now} restarts"))
        }
    })
}
