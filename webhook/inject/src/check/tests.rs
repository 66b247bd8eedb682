use super::*;
use crate::Namespace;
use crate::Outcome;
use crate::Review;
use crate::Settings;
use crate::answer;
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
    let answer = answer(
        &Review::of_pod(pod()),
        &Settings::new("syncer:1"),
        &Namespace::default(),
    )
    .unwrap();
    let Outcome::Inject(plan) = answer.outcome else {
        panic!("{:?}", answer.outcome);
    };
    let patch = answer.patch.unwrap();
    let mut patched = pod();
    json_patch::patch(&mut patched, &patch).unwrap();
    (patched, patch, *plan)
}

#[test]
fn a_patch_that_does_not_apply_or_makes_something_else_is_found() {
    let (patched, patch, _) = injected();
    assert!(applies(&pod(), &patch, &patched).is_ok());
    let differs = applies(&pod(), &patch, &json!({}));
    assert!(
        matches!(differs, Err(InternalError::Differs)),
        "{differs:?}"
    );
    let elsewhere = applies(&json!({}), &patch, &patched);
    assert!(
        matches!(elsewhere, Err(InternalError::Patch(_))),
        "{elsewhere:?}"
    );
}

#[test]
fn a_pod_that_the_api_server_would_refuse_for_our_part_is_found() {
    let (patched, _, plan) = injected();
    let check = |pod: &Value| is_sound(pod.clone(), &plan);
    assert!(check(&patched).is_ok());
    let mut other = patched.clone();
    other["spec"]["containers"] = json!(7);
    let unreadable = check(&other);
    assert!(
        matches!(unreadable, Err(InternalError::Unreadable(_))),
        "{unreadable:?}"
    );
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
        (ours, json!({"name": "other"})),
    ] {
        let mut pod = patched.clone();
        let at = PointerBuf::parse(at).unwrap();
        *pod.pointer_mut(at.as_str()).unwrap() = value;
        assert!(
            matches!(check(&pod), Err(InternalError::Unsound(_))),
            "{at}"
        );
    }
}

#[test]
fn variables_and_volumes_of_the_pods_own_are_held_too() {
    let pod = json!({
        "metadata": {"annotations": {"gitvolume.dev/safe-directory": "true"}},
        "spec": {
            "containers": [{"name": "web", "image": "x", "volumeMounts": [
                {"name": "site", "mountPath": "/site"},
            ]}],
            "volumes": [{"name": "site", "gitRepo": {"repository": "https://git.example/x.git"}}],
        },
    });
    let answer = answer(
        &Review::of_pod(pod.clone()),
        &Settings::new("syncer:1"),
        &Namespace::default(),
    )
    .unwrap();
    let Outcome::Inject(plan) = &answer.outcome else {
        panic!("{:?}", answer.outcome);
    };
    let mut patched = pod;
    json_patch::patch(&mut patched, &answer.patch.unwrap()).unwrap();
    let check = |pod: &Value| is_sound(pod.clone(), plan);
    check(&patched).unwrap();
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
        let mut pod = patched.clone();
        match pod.pointer_mut(at) {
            Some(there) => *there = value,
            None => {
                let (map, key) = at.rsplit_once('/').unwrap();
                pod.pointer_mut(map).unwrap()[key] = value;
            }
        }
        let outcome = check(&pod);
        assert!(matches!(outcome, Err(InternalError::Unsound(_))), "{at}");
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
