//! Where the objects that make Pods say what a Pod is to be.

use serde_json::Value;

/// The kinds with a Pod template: group, kind, and where it is, as a JSON pointer (RFC 6901). The
/// versions of a group have it in one place. `extensions` is where Kubernetes 1.15 had three of
/// them; manifests of that age are still about.
const TEMPLATES: [(&str, &str, &str); 13] = [
    ("", "Pod", ""),
    ("", "PodTemplate", "/template"),
    ("", "ReplicationController", "/spec/template"),
    ("apps", "DaemonSet", "/spec/template"),
    ("apps", "Deployment", "/spec/template"),
    ("apps", "ReplicaSet", "/spec/template"),
    ("apps", "StatefulSet", "/spec/template"),
    ("batch", "CronJob", "/spec/jobTemplate/spec/template"),
    ("batch", "Job", "/spec/template"),
    ("extensions", "DaemonSet", "/spec/template"),
    ("extensions", "Deployment", "/spec/template"),
    ("extensions", "ReplicaSet", "/spec/template"),
    ("argoproj.io", "Rollout", "/spec/template"),
];

/// Tells where an object has its Pod: metadata, with the annotations, and spec. A JSON pointer from
/// the object's root, empty for a Pod; `None` for a kind that has none, for a List, and where the
/// object lacks it (an Argo Rollout may refer to a Deployment instead).
pub fn pod_template(object: &Value) -> Option<&'static str> {
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let (api_version, kind) = (text("apiVersion")?, text("kind")?);
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let (.., at) = TEMPLATES
        .iter()
        .find(|(its_group, its_kind, _)| *its_group == group && *its_kind == kind)?;
    object.pointer(at).filter(|pod| pod.is_object())?;
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_template_is_found_in_every_version_of_a_kind_and_in_no_namesake() {
        let at = |api_version: &str, kind: &str, rest: Value| {
            let mut object = json!({"apiVersion": api_version, "kind": kind});
            let members = object.as_object_mut().unwrap();
            members.extend(rest.as_object().unwrap().clone());
            pod_template(&object)
        };
        let spec = json!({"spec": {"template": {}}});
        assert_eq!(at("v1", "Pod", json!({})), Some(""));
        assert_eq!(
            at("v1", "PodTemplate", json!({"template": {}})),
            Some("/template")
        );
        for api_version in ["apps/v1", "apps/v1beta2", "extensions/v1beta1"] {
            assert_eq!(
                at(api_version, "Deployment", spec.clone()),
                Some("/spec/template")
            );
        }
        let cron = json!({"spec": {"jobTemplate": {"spec": {"template": {}}}}});
        assert_eq!(
            at("batch/v1beta1", "CronJob", cron),
            Some("/spec/jobTemplate/spec/template")
        );
        assert_eq!(at("example.com/v1", "Deployment", spec.clone()), None);
        assert_eq!(at("v1", "Deployment", spec.clone()), None);
        assert_eq!(at("v1", "List", json!({"items": []})), None);
        let elsewhere = json!({"spec": {"workloadRef": {"kind": "Deployment", "name": "web"}}});
        assert_eq!(at("argoproj.io/v1alpha1", "Rollout", elsewhere), None);
        assert_eq!(pod_template(&json!({"kind": "Pod"})), None);
    }
}
