//! Admission requests for a Pod, in the API server's format.

use anyhow::Context;
use anyhow::Result;
use serde_json::Value;
use serde_json::json;

/// An annotated Pod as its ReplicaSet creates it.
pub(crate) const INJECT: &str = include_str!(
    "../../../webhook/inject/testdata/inject/nginx-as-the-api-server-sends-it/pod.yaml"
);
/// A Pod with every mistake at once.
pub(crate) const REFUSE: &str =
    include_str!("../../../webhook/inject/testdata/deny/everything-at-once/pod.yaml");
/// A Pod without annotations.
pub(crate) const SKIP: &str =
    include_str!("../../../webhook/inject/testdata/skip/no-annotations/pod.yaml");

/// A Pod that requests three repositories.
pub(crate) const SEVERAL: &str =
    include_str!("../../../webhook/inject/testdata/inject/several-repositories/pod.yaml");
/// A Pod with two gitRepo volumes.
pub(crate) const GIT_REPO: &str =
    include_str!("../../../webhook/inject/testdata/inject/gitrepo-two-volumes/pod.yaml");

/// The body of a request for a Pod.
pub(crate) fn about(yaml: &str) -> Result<Vec<u8>> {
    Ok(review(&serde_saphyr::from_str(yaml)?))
}

/// The body of a request for the Pod [`INJECT`] with this many variables.
pub(crate) fn with_variables(count: usize) -> Result<Vec<u8>> {
    let mut pod: Value = serde_saphyr::from_str(INJECT)?;
    let variables = (0..count).map(
        |number| json!({"name": format!("NAME_{number}"), "value": format!("value-{number}")}),
    );
    pod["spec"]["containers"][0]["env"] = variables.collect();
    Ok(review(&pod))
}

/// The body of a request for the Pod [`INJECT`] with this many copies of its container.
pub(crate) fn with_containers(count: usize) -> Result<Vec<u8>> {
    let mut pod: Value = serde_saphyr::from_str(INJECT)?;
    let container = pod["spec"]["containers"][0].clone();
    let containers = (0..count).map(|number| {
        let mut container = container.clone();
        container["name"] = json!(format!("container-{number}"));
        container
    });
    pod["spec"]["containers"] = containers.collect();
    Ok(review(&pod))
}

/// The body of a request for the Pod [`INJECT`] with annotations for vault-k8s's sidecar instead.
pub(crate) fn for_vault() -> Result<Vec<u8>> {
    let mut pod: Value = serde_saphyr::from_str(INJECT)?;
    let annotations = pod["metadata"]["annotations"]
        .as_object_mut()
        .context("a Pod with annotations")?;
    annotations.retain(|key, _| !key.starts_with("gitvolume.dev/"));
    annotations.insert("vault.hashicorp.com/agent-inject".to_owned(), json!("true"));
    annotations.insert("vault.hashicorp.com/role".to_owned(), json!("web"));
    Ok(review(&pod))
}

fn review(pod: &Value) -> Vec<u8> {
    let kind = json!({"group": "", "version": "v1", "kind": "Pod"});
    let resource = json!({"group": "", "version": "v1", "resource": "pods"});
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": kind,
            "resource": resource,
            "requestKind": kind,
            "requestResource": resource,
            "namespace": "shop",
            "operation": "CREATE",
            "userInfo": {
                "username": "system:serviceaccount:kube-system:replicaset-controller",
                "uid": "0f9f2c9a-8f0e-4a57-8f43-6f2c1b8d7e11",
                "groups": [
                    "system:serviceaccounts",
                    "system:serviceaccounts:kube-system",
                    "system:authenticated",
                ],
            },
            "object": pod,
            "oldObject": null,
            "dryRun": false,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        },
    })
    .to_string()
    .into_bytes()
}
