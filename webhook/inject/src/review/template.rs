//! Pod templates in workloads, and the warnings about misplaced annotations.

use serde_json::Value;

use crate::PREFIX;
use crate::keys::key;

/// The kinds with a Pod template: group, kind, and its JSON pointer (RFC 6901), which is the same
/// in all versions of a group. Three kinds were in `extensions` until Kubernetes 1.15; such old
/// manifests are still in use.
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

/// The JSON pointer from an object's root to its Pod, which has metadata, with the annotations, and
/// spec. Empty for a Pod; `None` for a kind without a template, for a List, and where the object
/// lacks it (an Argo Rollout may refer to a Deployment instead).
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

/// API groups whose kinds are all known: a kind in them that is not in [`TEMPLATES`] has no Pod
/// template.
const CLOSED_GROUPS: [&str; 6] = ["", "apps", "autoscaling", "batch", "extensions", "policy"];

/// Finds every Pod template of an object, as JSON pointers from its root: at the known path of a
/// Kubernetes kind, and by its shape in kinds of other API groups (Knative, OpenKruise, Kubeflow,
/// JobSet, OpenShift, …). A template is a map below the root with a `spec` that has a list of
/// containers. Embedded whole objects are not searched.
pub fn pod_templates(object: &Value) -> Vec<String> {
    if let Some(at) = pod_template(object) {
        return vec![at.to_owned()];
    }
    let mut found = Vec::new();
    if is_of_open_group(object) {
        templates_below(object, &mut String::new(), &mut found);
    }
    found
}

/// Whether an object's API group has unknown kinds, so that it may have Pod templates and whole
/// objects anywhere in it.
pub fn is_of_open_group(object: &Value) -> bool {
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let (Some(api_version), Some(_)) = (text("apiVersion"), text("kind")) else {
        return false;
    };
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    !CLOSED_GROUPS.contains(&group)
}

/// Whether a value inside an object is a whole object itself, as in a Template of OpenShift.
pub fn is_embedded_object(value: &Value) -> bool {
    value["apiVersion"].is_string() && value["kind"].is_string() && value["metadata"].is_object()
}

fn templates_below(value: &Value, at: &mut String, found: &mut Vec<String>) {
    let mut look = |token: &str, child: &Value| {
        let length = at.len();
        at.push('/');
        at.push_str(&token.replace('~', "~0").replace('/', "~1"));
        let containers = child.pointer("/spec/containers").and_then(Value::as_array);
        let is_template =
            containers.is_some_and(|all| !all.is_empty() && all.iter().all(Value::is_object));
        match is_embedded_object(child) {
            true => {}
            false if is_template => found.push(at.clone()),
            false => templates_below(child, at, found),
        }
        at.truncate(length);
    };
    match value {
        Value::Object(members) => {
            for (key, child) in members {
                look(key, child);
            }
        }
        Value::Array(items) => {
            for (index, child) in items.iter().enumerate() {
                look(&index.to_string(), child);
            }
        }
        _ => {}
    }
}

/// Warnings for gitvolume annotations outside an object's Pod template, where they have no effect:
/// on the workload itself, or on the Jobs that it creates.
pub fn misplaced(workload: &Value) -> Vec<String> {
    let Some(at) = pod_template(workload).filter(|at| !at.is_empty()) else {
        return Vec::new();
    };
    let levels = ["", "/spec/jobTemplate"].into_iter();
    levels
        .filter_map(|level| misplaced_on(level, workload, at))
        .collect()
}

fn misplaced_on(level: &str, workload: &Value, at: &str) -> Option<String> {
    let annotations = workload.pointer(&format!("{level}/metadata/annotations"))?;
    let mut keys = annotations
        .as_object()?
        .keys()
        .filter(|key| key.starts_with(PREFIX) && !key::WRITTEN.contains(&key.as_str()));
    let first = keys.next()?;
    let more = match keys.count() {
        0 => String::new(),
        others => format!(" and {others} more"),
    };
    let kind = workload["kind"].as_str().unwrap_or_default();
    let here = match level {
        "" => kind.to_owned(),
        _ => format!("{kind}'s Job"),
    };
    let there = at.trim_start_matches('/').replace('/', ".");
    Some(format!(
        "{first}{more}: no effect on a {here}; expected in {there}.metadata"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    use crate::Answer;
    use crate::Namespace;
    use crate::OnMistake;
    use crate::Review;
    use crate::Settings;
    use crate::answer;

    #[test]
    fn a_template_is_found_in_every_version_of_a_kind_and_not_in_kinds_of_the_same_name() {
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

    #[test]
    fn a_template_of_an_unknown_kind_is_found_by_its_shape() {
        let pod = json!({"metadata": {}, "spec": {"containers": [{"image": "a"}]}});
        let of = |api_version: &str, spec: Value| {
            pod_templates(&json!({"apiVersion": api_version, "kind": "K", "spec": spec}))
        };
        assert_eq!(
            of("serving.knative.dev/v1", json!({"template": pod})),
            ["/spec/template"]
        );
        let jobs = json!({"replicatedJobs": [
            {"template": {"spec": {"template": pod}}}, {"template": {"spec": {"template": pod}}},
        ]});
        assert_eq!(
            of("jobset.x-k8s.io/v1alpha2", jobs),
            [
                "/spec/replicatedJobs/0/template/spec/template",
                "/spec/replicatedJobs/1/template/spec/template"
            ]
        );
        // Its containers are merged into Pods that only its operator knows.
        assert!(of("monitoring.coreos.com/v1", pod["spec"].clone()).is_empty());
        assert!(of("apps/v1", json!({"template": pod})).is_empty());
        let whole = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": pod["spec"]});
        assert!(of("work.example/v1", json!({"manifests": [whole]})).is_empty());
    }

    fn reviewed(request: &Value, on_mistake: OnMistake) -> Answer {
        let body = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request,
        });
        let review = Review::parse(body.to_string().as_bytes()).unwrap();
        let mut settings = Settings::new("syncer:1");
        settings.on_mistake = on_mistake;
        answer(&review, &settings, &Namespace::default()).unwrap()
    }

    fn cron_job(annotations: &Value) -> Value {
        let spec = json!({"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]});
        let template = json!({"metadata": {"annotations": annotations}, "spec": spec});
        json!({
            "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"},
            "spec": {"jobTemplate": {"spec": {"template": template}}},
        })
    }

    #[test]
    fn a_mistake_in_a_template_is_a_warning() {
        let annotations = json!({
            "gitvolume.dev/repo": "https://git.example/site.git",
            "gitvolume.dev/mode": "always",
            "gitvolume.dev/perod": "1s",
        });
        for on_mistake in [OnMistake::Deny, OnMistake::Warn] {
            for operation in ["CREATE", "UPDATE"] {
                let object = cron_job(&annotations);
                let answer = reviewed(
                    &json!({"uid": "u", "operation": operation, "object": object}),
                    on_mistake,
                );
                assert_eq!(
                    answer.warnings,
                    [
                        "gitvolume.dev/mode: \"always\": expected sync or once",
                        "gitvolume.dev/perod: unknown annotation; did you mean gitvolume.dev/period?",
                    ]
                );
                assert!(answer.allowed && answer.patch.is_none());
                assert_eq!((answer.decision(), answer.reason()), ("warn", "template"));
            }
        }
    }

    #[test]
    fn misplaced_annotations_are_reported_with_their_level() {
        let mut object = cron_job(&json!({}));
        let own = json!({"gitvolume.dev/repo": "https://git.example/site.git"});
        object["metadata"]["annotations"] = own.clone();
        object["spec"]["jobTemplate"]["metadata"]["annotations"] = own;
        object["spec"]["jobTemplate"]["metadata"]["annotations"]["gitvolume.dev/ref"] = json!("v1");
        let request = json!({"uid": "u", "operation": "CREATE", "object": object});
        assert_eq!(
            reviewed(&request, OnMistake::Deny).warnings,
            [
                "gitvolume.dev/repo: no effect on a CronJob; \
                 expected in spec.jobTemplate.spec.template.metadata",
                "gitvolume.dev/ref and 1 more: no effect on a CronJob's Job; \
                 expected in spec.jobTemplate.spec.template.metadata",
            ]
        );
    }

    #[test]
    fn correct_templates_and_other_objects_cause_no_warning() {
        let right = json!({"gitvolume.dev/repo": "https://git.example/site.git"});
        let wrong = json!({"gitvolume.dev/repo": "/etc"});
        for (request, reason) in [
            (
                json!({"operation": "CREATE", "object": cron_job(&right)}),
                "template",
            ),
            (
                json!({"operation": "DELETE", "object": cron_job(&wrong)}),
                "not-a-pod-creation",
            ),
            (
                json!({"operation": "UPDATE", "subResource": "status", "object": cron_job(&wrong)}),
                "not-a-pod-creation",
            ),
        ] {
            let mut request = request;
            request["uid"] = json!("u");
            request["kind"] = json!({"group": "batch", "version": "v1", "kind": "CronJob"});
            let answer = reviewed(&request, OnMistake::Deny);
            assert_eq!(answer.warnings, Vec::<String>::new(), "{request}");
            assert_eq!((answer.decision(), answer.reason()), ("skip", reason));
        }
    }
}
