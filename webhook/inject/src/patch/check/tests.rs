use super::*;
use crate::Namespace;
use crate::Outcome;
use crate::Review;
use crate::Settings;
use crate::answer;
use json_patch::AddOperation;
use json_patch::Patch;
use json_patch::PatchOperation;
use json_patch::RemoveOperation;
use json_patch::ReplaceOperation;
use json_patch::jsonptr::PointerBuf;
use serde_json::json;

fn pod() -> Value {
    json!({
        "metadata": {"annotations": {"gitvolume.dev/repo": "https://git.example/site.git"}},
        "spec": {"containers": [{"name": "web", "image": "nginx", "resources": {
            "limits": {"cpu": "1", "memory": "1Gi"},
        }}]},
    })
}

fn injected() -> (Value, Patch, Plan) {
    let (patch, plan) = injection(pod());
    let mut patched = pod();
    json_patch::patch(&mut patched, &patch).unwrap();
    (patched, patch, plan)
}

/// The patch and the plan of a Pod.
fn injection(pod: Value) -> (Patch, Plan) {
    let answer = answer(
        &Review::of_pod(pod),
        &Settings::new("syncer:1"),
        &Namespace::default(),
    )
    .unwrap();
    let Outcome::Inject(plan) = answer.outcome else {
        panic!("{:?}", answer.outcome);
    };
    (answer.patch.unwrap(), *plan)
}

/// Checks a patch with one more operation, which writes this value at this path.
fn check_with(
    pod: &Value,
    patch: &Patch,
    plan: &Plan,
    at: &str,
    value: Value,
) -> Result<(), InternalError> {
    let mut patched = pod.clone();
    json_patch::patch(&mut patched, patch).unwrap();
    let path = PointerBuf::parse(at).unwrap();
    let mut patch = patch.clone();
    patch.0.push(match patched.pointer(at) {
        Some(_) => PatchOperation::Replace(ReplaceOperation { path, value }),
        None => PatchOperation::Add(AddOperation { path, value }),
    });
    check(pod, &patch, plan)
}

fn check(pod: &Value, patch: &Patch, plan: &Plan) -> Result<(), InternalError> {
    let before = serde_json::from_value(pod["spec"].clone()).unwrap();
    let mut patched = pod.clone();
    json_patch::patch(&mut patched, patch)
        .map_err(|error| InternalError::Patch(Box::new(error)))?;
    is_sound(patched, &before, plan)
}

#[test]
fn an_invalid_injection_is_detected() {
    let (patched, patch, plan) = injected();
    assert!(check(&pod(), &patch, &plan).is_ok());
    for (at, value) in [
        ("/spec/containers", json!(7)),
        ("/spec/containers/0/image", json!(7)),
        ("/spec/hostNetwork", json!("yes")),
    ] {
        let unreadable = check_with(&pod(), &patch, &plan, at, value);
        assert!(
            matches!(unreadable, Err(InternalError::Unreadable(_))),
            "{at}: {unreadable:?}"
        );
    }
    let ours = "/spec/initContainers/0";
    for (at, value) in [
        ("/spec/volumes/0/name", json!("gitvolume-state")),
        ("/spec/volumes/0/name", json!("other")),
        ("/spec/containers/0/name", json!("gitvolume")),
        ("/spec/containers/0/volumeMounts/0/name", json!("none")),
        (
            "/spec/containers/0/volumeMounts/0/mountPath",
            json!("/other"),
        ),
        (
            "/spec/initContainers/0/volumeMounts/1/mountPath",
            json!("/gitvolume/content"),
        ),
        (
            "/spec/initContainers/0/resources/limits/cpu",
            json!("not-a-quantity"),
        ),
        ("/spec/initContainers/0/resources/requests/cpu", json!("2")),
        (
            "/spec/initContainers/0/securityContext/allowPrivilegeEscalation",
            json!(true),
        ),
        (
            "/spec/initContainers/0/securityContext/capabilities/drop",
            json!(["NET_RAW"]),
        ),
        (
            "/spec/initContainers/0/securityContext/runAsNonRoot",
            json!(null),
        ),
        ("/spec/initContainers/0/securityContext/runAsUser", json!(0)),
        (
            "/spec/initContainers/0/securityContext/seccompProfile/type",
            json!("Unconfined"),
        ),
        (
            "/spec/initContainers/0/securityContext/capabilities",
            json!({"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}),
        ),
        (
            "/spec/initContainers/0/securityContext",
            json!({"privileged": true}),
        ),
        ("/spec/initContainers/0/image", json!("")),
        ("/spec/initContainers/0/command", json!([])),
        ("/spec/initContainers/0/restartPolicy", json!(null)),
        ("/spec/initContainers/0/restartPolicy", json!("OnFailure")),
        ("/spec/initContainers/0/env/1/name", json!("HOME")),
        (
            "/spec/initContainers/0/resources/requests/memory",
            json!("1GB"),
        ),
        ("/spec/volumes/0/emptyDir", json!({"sizeLimit": "much"})),
        (
            "/spec/volumes/0",
            json!({"name": "gitvolume-content", "hostPath": {"path": "/"}}),
        ),
        (
            "/spec/volumes/0",
            json!({"name": "gitvolume-content", "secret": {"secretName": ""}}),
        ),
        (
            "/spec/volumes",
            json!([{"name": "gitvolume-content", "emptyDir": {}}]),
        ),
        (
            "/spec/initContainers",
            json!([{"name": "early", "volumeMounts": [
                {"name": "gitvolume-content", "mountPath": "/x"},
            ]}, patched["spec"]["initContainers"][0]]),
        ),
        ("/spec/initContainers", json!([])),
        ("/spec", json!(null)),
        ("/metadata/annotations/gitvolume.dev~1status", json!(7)),
        (ours, json!({"name": "other"})),
    ] {
        let outcome = check_with(&pod(), &patch, &plan, at, value);
        assert!(
            matches!(outcome, Err(InternalError::Unsound(_))),
            "{at}: {outcome:?}"
        );
    }
}

#[test]
fn a_container_may_have_the_name_of_an_added_volume() {
    let mut pod = pod();
    pod["spec"]["containers"][0]["name"] = json!("gitvolume-content");
    let (patch, plan) = injection(pod.clone());
    assert!(check(&pod, &patch, &plan).is_ok());
    let renamed = check_with(&pod, &patch, &plan, "/spec/containers/0/name", json!("web"));
    assert!(
        matches!(renamed, Err(InternalError::Unsound(_))),
        "{renamed:?}"
    );
}

#[test]
fn added_variables_and_volumes_of_the_pod_are_checked_too() {
    let pod = json!({
        "metadata": {"annotations": {"gitvolume.dev/safe-directory": "true"}},
        "spec": {
            "containers": [{"name": "web", "image": "x", "volumeMounts": [
                {"name": "site", "mountPath": "/site"},
            ]}],
            "volumes": [{"name": "site", "gitRepo": {"repository": "https://git.example/x.git"}}],
        },
    });
    let (patch, plan) = injection(pod.clone());
    check(&pod, &patch, &plan).unwrap();
    // A patch that does not remove the old source is rejected too.
    let removal = |own: &PatchOperation| matches!(own, PatchOperation::Remove(_));
    let kept = patch.iter().filter(|own| !removal(own)).cloned().collect();
    let both = check(&pod, &Patch(kept), &plan);
    assert!(matches!(both, Err(InternalError::Unsound(_))), "{both:?}");
    for (at, value) in [
        ("/spec/containers/0/env/0/name", json!("OTHER")),
        ("/spec/containers/0/env/1/name", json!("GIT_CONFIG_COUNT")),
        (
            "/spec/volumes/0",
            json!({"name": "site", "gitRepo": {"repository": "x"}}),
        ),
        (
            "/spec/volumes/0",
            json!({"name": "site", "gitRepo": {"repository": "x"}, "emptyDir": {}}),
        ),
        ("/spec/initContainers/0/startupProbe", json!({})),
        (
            "/spec/initContainers/0/ports",
            json!([{"containerPort": 80}]),
        ),
    ] {
        let outcome = check_with(&pod, &patch, &plan, at, value);
        assert!(matches!(outcome, Err(InternalError::Unsound(_))), "{at}");
    }
}

#[test]
fn the_authors_volumes_and_containers_keep_their_order() {
    let pod = json!({
        "metadata": {"annotations": {"gitvolume.dev/repo": "https://git.example/site.git"}},
        "spec": {
            "containers": [{"name": "web", "image": "x"}],
            "initContainers": [{"name": "a", "image": "x"}, {"name": "b", "image": "x"}],
            "volumes": [{"name": "one", "emptyDir": {}}, {"name": "two", "emptyDir": {}}],
        },
    });
    let (patch, plan) = injection(pod.clone());
    check(&pod, &patch, &plan).unwrap();
    let path = |at: &str| PointerBuf::parse(at.to_owned()).unwrap();
    let removal = |at: &str| PatchOperation::Remove(RemoveOperation { path: path(at) });
    let addition = |at: &str, value: Value| {
        let path = path(at);
        PatchOperation::Add(AddOperation { path, value })
    };
    let whole = |at: &str| pod.pointer(at).unwrap().clone();
    for edits in [
        vec![removal("/spec/volumes/0")],
        vec![removal("/spec/volumes")],
        vec![removal("/spec/initContainers/1")],
        vec![addition("/spec/volumes", json!([]))],
        // A patch must not add an item that is no object.
        vec![addition("/spec/volumes/-", json!(1))],
        vec![addition("/spec/volumes/0", json!(0))],
        vec![
            removal("/spec/volumes/0"),
            addition("/spec/volumes/1", whole("/spec/volumes/0")),
        ],
    ] {
        // Before the injection, so that indexes are those of the original Pod.
        let edited = Patch(edits.iter().chain(patch.iter()).cloned().collect());
        let outcome = check(&pod, &edited, &plan);
        assert!(outcome.is_err(), "{edits:?}");
    }
}

#[test]
fn the_authors_own_mistakes_are_left_to_the_api_server() {
    let mut pod = pod();
    pod["spec"]["containers"][0]["volumeMounts"] =
        json!([{"name": "none", "mountPath": "/x"}, {"name": "none", "mountPath": "/x"}]);
    pod["spec"]["volumes"] = json!([{"name": "twice"}, {"name": "twice"}]);
    let answer = answer(
        &Review::of_pod(pod),
        &Settings::new("syncer:1"),
        &Namespace::default(),
    )
    .unwrap();
    assert!(matches!(answer.outcome, Outcome::Inject(_)));
}
