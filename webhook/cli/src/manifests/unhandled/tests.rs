use super::*;
use crate::manifests::workloads::objects;
use serde_json::json;

fn left(purpose: Purpose, value: &Value) -> Vec<String> {
    let objects = objects(value);
    let objects = objects.iter();
    objects
        .filter_map(|object| purpose.left_in(object, None, false))
        .collect()
}

#[test]
fn references_in_gitvolume_objects_and_selectors_are_ignored() {
    let label = json!({"gitvolume.dev/auto-inject": "enabled"});
    for value in [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"labels": label}}),
        json!({
            "apiVersion": "gitvolume.dev/v1alpha1", "kind": "ClusterGitVolume",
            "spec": {"namespaceSelector": {"matchLabels": label}},
        }),
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "spec": {"podSelector": {"matchLabels": label}},
        }),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "gitvolume.dev/repo"}}),
    ] {
        assert!(left(Purpose::Inject, &value).is_empty(), "{value}");
    }
}

#[test]
fn annotations_are_reported_wherever_they_are() {
    let keys = json!({"gitvolume.dev/repo": "https://git.example/a.git"});
    for (value, place) in [
        (
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"annotations": keys}}),
            "gitvolume.dev/repo in metadata.annotations: the kind Service has no Pod template",
        ),
        (
            json!({"podAnnotations": keys, "image": "x"}),
            "gitvolume.dev/repo in podAnnotations: the document has no kind",
        ),
        (
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "spec": {"template": {"annotations": keys, "spec": {"containers": []}}},
            }),
            "gitvolume.dev/repo in spec.template.annotations: ",
        ),
        (
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {
                "annotations": ["gitvolume.dev/repo=https://git.example/a.git"],
            }, "spec": {"containers": []}}),
            "gitvolume.dev/repo in metadata.annotations[0]: expected a map of strings",
        ),
        (
            json!([{
                "op": "add", "value": "x",
                "path": "/spec/template/metadata/annotations/gitvolume.dev~1repo",
            }]),
            "an annotation in path: the document has no kind",
        ),
        (
            json!({"kind": "Kustomization", "patches": [{"patch": "gitvolume.dev/repo: x"}]}),
            "an annotation in patches[0].patch: inject the output of `kustomize build`",
        ),
    ] {
        let left = left(Purpose::Inject, &value);
        assert_eq!(left.len(), 1, "{value}");
        assert!(left[0].contains(place), "{left:?}: {place}");
    }
}
