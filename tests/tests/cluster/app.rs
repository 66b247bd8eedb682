//! The Pods of the product's tests, as a user would write them.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::images::BUSYBOX;
use tests::images::NGINX;
use tests::kubectl::Kubectl;

/// How long a Pod may take to become Ready on a busy machine; three seconds are usual.
pub(crate) const READY: Duration = Duration::from_secs(180);
/// How long a change on the remote may take to be seen; one period is usual.
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

/// A Pod with these annotations and a container `web` with nginx, which starts only if a page is
/// there already.
pub(crate) fn web_pod(name: &str, annotations: Value) -> Value {
    // The image has a page of its own at this path, so a missing mount would not show.
    let script = "grep -q repository: /usr/share/nginx/html/index.html || exit 1; exec nginx";
    let mut pod = shell_pod(name, annotations, script);
    let web = &mut pod["spec"]["containers"][0];
    web["name"] = json!("web");
    web["image"] = json!(NGINX);
    web["readinessProbe"] = json!({"httpGet": {"port": 8080, "path": "/"}, "periodSeconds": 1});
    pod
}

/// The fields that the restricted Pod Security level asks of a container.
pub(crate) fn restricted() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "runAsNonRoot": true,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

/// How often a container of a Pod was started again.
pub(crate) fn restarts(kubectl: &Kubectl, pod: &str, container: &str) -> Result<i64, String> {
    let status = container_status(kubectl, pod, container)?;
    status["restartCount"]
        .as_i64()
        .ok_or_else(|| format!("no restartCount in {status}"))
}

/// A container's status, whether it is an init container or not.
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

/// Ends a Pod's syncer as a crash does: its PID 1 follows its child, and with PID 1 the rest ends.
pub(crate) fn kill_syncer(kubectl: &Kubectl, pod: &str) -> Result<(), String> {
    // The shell of this very command may end with the container, so its outcome says nothing.
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
