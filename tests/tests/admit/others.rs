//! Third-party webhooks and policies, before and after the webhook.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::control_plane::Version;
use tests::kubernetes::namespace::Namespace;

use crate::shared::version;
use crate::toy::AFTER_US;
use crate::toy::Registration;
use crate::toy::Toy;

const REPO: &str = "https://git.example/site.git";

fn pod(annotations: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"generateName": "web-", "annotations": annotations},
        "spec": {"containers": [{"name": "web", "image": "nginx"}]},
    })
}

fn created(namespace: &Namespace, pod: &Value) -> Result<Value, String> {
    let (mut made, _) = namespace.created(&[], &pod.to_string())?;
    made.pop().ok_or("nothing was made".to_owned())
}

fn names<'a>(pod: &'a Value, list: &str) -> Vec<&'a str> {
    let items = pod["spec"][list].as_array();
    let names = items
        .into_iter()
        .flatten()
        .filter_map(|item| item["name"].as_str());
    names.collect()
}

fn has_mount_of_ours(container: &Value) -> bool {
    let mounts = container["volumeMounts"].as_array();
    let mut names = mounts
        .into_iter()
        .flatten()
        .filter_map(|mount| mount["name"].as_str());
    names.any(|name| name.starts_with("gitvolume"))
}

/// Returns the operations once, for a Pod of this test.
pub(crate) fn once(operations: Value) -> impl Fn(&Value) -> Value {
    move |pod| {
        let annotations = &pod["metadata"]["annotations"];
        let done = !annotations["example.com/done"].is_null();
        let probe = !annotations["example.com/probe"].is_null();
        if done || probe {
            return json!([]);
        }
        let mut all = operations.clone();
        let mark =
            json!({"op": "add", "path": "/metadata/annotations/example.com~1done", "value": ""});
        if let Some(all) = all.as_array_mut() {
            all.push(mark);
        }
        all
    }
}

pub(crate) fn additions_of_a_later_webhook_do_not_cause_a_second_injection(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    let operations = json!([
        {"op": "add", "path": "/spec/volumes/0", "value": {"name": "theirs", "emptyDir": {}}},
        {
            "op": "add", "path": "/spec/containers/0",
            "value": {"name": "proxy", "image": "proxy"},
        },
        {
            "op": "add", "path": "/spec/initContainers/0",
            "value": {"name": "proxy-init", "image": "proxy"},
        },
        // Our container is at index 1 by now: a tracer changes every container.
        {
            "op": "add", "path": "/spec/initContainers/1/env/-",
            "value": {"name": "TRACE", "value": "1"},
        },
        {
            "op": "add", "path": "/spec/initContainers/1/volumeMounts/0",
            "value": {"name": "theirs", "mountPath": "/theirs"},
        },
    ]);
    let _toy = Toy::start(world, &namespace, &AFTER_US, once(operations))?;
    let annotations = json!({
        "gitvolume.dev/repo": REPO, "gitvolume.dev/docs.repo": "https://git.example/docs.git",
        "gitvolume.dev/docs.mount-path": "/docs",
    });
    let pod = created(&namespace, &pod(annotations))?;
    assert_eq!(
        names(&pod, "initContainers"),
        ["proxy-init", "gitvolume"],
        "{pod}"
    );
    assert_eq!(names(&pod, "containers"), ["proxy", "web"], "{pod}");
    let ours = &pod["spec"]["initContainers"][1];
    assert!(ours["env"].to_string().contains("TRACE"), "{ours}");
    let web = &pod["spec"]["containers"][1];
    assert!(has_mount_of_ours(web), "{web}");
    let volumes = names(&pod, "volumes");
    let mut once = volumes.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(volumes.len(), once.len(), "{volumes:?}");
    Ok(())
}

/// Our container would have to change for it, and the webhook never rewrites what is in a Pod.
pub(crate) fn a_repository_that_a_later_webhook_requests_is_refused_and_not_ignored(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    let operations = json!([
        {
            "op": "add", "path": "/metadata/annotations/gitvolume.dev~1docs.repo",
            "value": "https://git.example/docs.git",
        },
        {
            "op": "add", "path": "/metadata/annotations/gitvolume.dev~1docs.mount-path",
            "value": "/docs",
        },
    ]);
    let _toy = Toy::start(world, &namespace, &AFTER_US, once(operations))?;
    match created(&namespace, &pod(json!({"gitvolume.dev/repo": REPO}))) {
        Err(refusal) => assert!(
            refusal.contains("already has a container \"gitvolume\""),
            "{refusal}"
        ),
        Ok(pod) => return Err(format!("admitted: {pod}").into()),
    }
    Ok(())
}

pub(crate) fn a_git_repo_volume_that_a_later_webhook_adds_is_converted_too(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    let volume = json!({"name": "old", "gitRepo": {"repository": "https://git.example/old.git"}});
    let mount = json!({"name": "old", "mountPath": "/old"});
    let operations = json!([
        {"op": "add", "path": "/spec/volumes/-", "value": volume},
        {"op": "add", "path": "/spec/containers/0/volumeMounts/-", "value": mount},
    ]);
    let _toy = Toy::start(world, &namespace, &AFTER_US, once(operations))?;
    let pod = created(&namespace, &pod(json!({"gitvolume.dev/repo": REPO})))?;
    let volumes = pod["spec"]["volumes"].as_array();
    let mut volumes = volumes.into_iter().flatten();
    let old = volumes
        .find(|own| own["name"] == "old")
        .ok_or("no volume")?;
    assert!(
        old["gitRepo"].is_null() && old["emptyDir"].is_object(),
        "{old}"
    );
    let inits = names(&pod, "initContainers");
    assert_eq!(inits.len(), 2, "{inits:?}");
    Ok(())
}

pub(crate) fn a_repository_that_an_earlier_webhook_requests_is_injected(
    world: &World,
) -> TestResult {
    let before_us = Registration {
        before_us: true,
        ..AFTER_US
    };
    let namespace = world.namespace(&[])?;
    let operations = json!([{
        "op": "add", "path": "/metadata/annotations/gitvolume.dev~1repo", "value": REPO,
    }]);
    let _toy = Toy::start(world, &namespace, &before_us, once(operations))?;
    let pod = created(&namespace, &pod(json!({"example.com/team": "web"})))?;
    assert_eq!(names(&pod, "initContainers"), ["gitvolume"], "{pod}");
    Ok(())
}

/// Mutating policies run before webhooks (KEP-3962), so the webhook sees their changes.
pub(crate) fn a_mutating_admission_policy_can_request_a_repository(world: &World) -> TestResult {
    if version(world)? == Version::Oldest {
        // Mutating policies are not served by default in this version.
        return Ok(());
    }
    let namespace = world.namespace(&[])?;
    let name = namespace.name();
    let expression = format!(
        "Object{{metadata: Object.metadata{{annotations: {{'gitvolume.dev/repo': '{REPO}'}}}}}}"
    );
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail", "reinvocationPolicy": "Never",
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                "resources": ["pods"],
            }]},
            "mutations": [{
                "patchType": "ApplyConfiguration",
                "applyConfiguration": {"expression": expression},
            }],
        },
    });
    let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": name}});
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name},
        "spec": {"policyName": name, "matchResources": {"namespaceSelector": selector}},
    });
    world.kubectl().create(&policy.to_string())?;
    world.kubectl().create(&binding.to_string())?;
    let pod = eventually("the policy in force", Duration::from_secs(30), || {
        let pod = created(&namespace, &pod(json!({})))?;
        let annotation = &pod["metadata"]["annotations"]["gitvolume.dev/repo"];
        match annotation.is_string() {
            true => Ok(pod),
            false => Err(pod["metadata"].to_string()),
        }
    })?;
    assert_eq!(names(&pod, "initContainers"), ["gitvolume"], "{pod}");
    Ok(())
}
