use anyhow::Context;
use anyhow::bail;
use anyhow::ensure;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use serde_json::json;

/// Any value works: the response must repeat it.
const UID: &str = "d1e3f4a2-0000-4000-8000-000000000001";

/// Parses the example and sets the address of the demo's repository in it.
pub(super) fn read_pod(text: &str, url: &str) -> anyhow::Result<Value> {
    let mut pod: Value = serde_saphyr::from_str(text).context("it is not YAML")?;
    ensure!(pod["kind"] == "Pod", "it is not a Pod");
    let repo = pod
        .pointer_mut("/metadata/annotations/gitvolume.dev~1repo")
        .context("it has no annotation gitvolume.dev/repo")?;
    *repo = url.into();
    Ok(pod)
}

/// The AdmissionReview v1 that an API server sends when this Pod is created.
pub(super) fn of(pod: &Value) -> Value {
    let mut object = pod.clone();
    object["metadata"]["namespace"] = "default".into();
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": UID,
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "requestKind": {"group": "", "version": "v1", "kind": "Pod"},
            "requestResource": {"group": "", "version": "v1", "resource": "pods"},
            "name": pod["metadata"]["name"],
            "namespace": "default",
            "operation": "CREATE",
            "userInfo": {"username": "demo"},
            "object": object,
            "oldObject": null,
            "dryRun": false,
            "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
        },
    })
}

/// Applies the response as an API server does.
pub(super) fn apply(pod: &Value, answer: &Value) -> anyhow::Result<Value> {
    let response = &answer["response"];
    ensure!(
        response["uid"] == UID,
        "the response is for another request"
    );
    if response["allowed"] != true {
        let message = &response["status"]["message"];
        bail!(
            "the webhook denied the Pod: {}",
            message.as_str().unwrap_or("no reason given")
        );
    }
    let patch = response["patch"]
        .as_str()
        .context("the response has no patch")?;
    let patch: json_patch::Patch = serde_json::from_slice(&BASE64_STANDARD.decode(patch)?)?;
    let mut patched = pod.clone();
    json_patch::patch(&mut patched, &patch).context("the patch does not apply")?;
    Ok(patched)
}

/// A Pod as YAML, for people.
pub(super) fn yaml(pod: &Value) -> anyhow::Result<String> {
    serde_saphyr::to_string(pod).context("the Pod cannot be written as YAML")
}
