use crate::Namespace;
use crate::Outcome;
use crate::Review;
use crate::Settings;
use crate::SkipReason;
use crate::answer;
use serde_json::Value;
use serde_json::json;

/// A Pod after the injection.
fn injected() -> Value {
    let mut pod = json!({
        "metadata": {"annotations": {
            "gitvolume.dev/repo": "https://git.example/site.git",
            "gitvolume.dev/secret": "git",
        }},
        "spec": {"containers": [{"name": "web", "image": "nginx"}]},
    });
    let answer = answer(
        &Review::of_pod(pod.clone()),
        &Settings::new("syncer:1"),
        &Namespace::default(),
    )
    .unwrap();
    json_patch::patch(&mut pod, &answer.patch.unwrap()).unwrap();
    pod
}

fn outcome(pod: Value, settings: &Settings) -> Outcome {
    answer(&Review::of_pod(pod), settings, &Namespace::default())
        .unwrap()
        .outcome
}

#[test]
fn an_injection_is_recognised_without_its_status() {
    let mut pod = injected();
    pod["metadata"]["annotations"]
        .as_object_mut()
        .unwrap()
        .remove("gitvolume.dev/status");
    let expected = Outcome::Skip(SkipReason::AlreadyInjected);
    assert_eq!(outcome(pod, &Settings::new("syncer:1")), expected);
}

#[test]
fn a_changed_injection_is_refused() {
    for (at, value) in [
        ("/spec/initContainers/0/command/0", json!("/bin/sh")),
        (
            "/spec/initContainers/0/args/0",
            json!("--repo=https://git.example/other.git"),
        ),
        ("/spec/initContainers/0/restartPolicy", json!(null)),
        (
            "/spec/initContainers/0/volumeMounts/0/mountPath",
            json!("/elsewhere"),
        ),
        (
            "/spec/initContainers/0/volumeMounts/3/readOnly",
            json!(false),
        ),
        (
            "/spec/volumes/0",
            json!({"name": "gitvolume-content", "hostPath": {"path": "/"}}),
        ),
        ("/spec/volumes/2/secret/secretName", json!("other")),
        ("/spec/volumes/3", json!({"name": "x", "emptyDir": {}})),
        ("/spec/containers/0/volumeMounts", json!([])),
    ] {
        let mut pod = injected();
        *pod.pointer_mut(at).unwrap() = value;
        let outcome = outcome(pod, &Settings::new("syncer:1"));
        assert!(matches!(outcome, Outcome::Deny(_)), "{at}: {outcome:?}");
    }
}

#[test]
fn another_versions_argv_is_accepted_only_for_the_same_repository() {
    let settings = Settings::new("syncer:2");
    let argv = json!(["--repo=https://git.example/site.git", "--later-flag=1"]);
    let mut pod = injected();
    pod["spec"]["initContainers"][0]["args"] = argv;
    let expected = Outcome::Skip(SkipReason::AlreadyInjected);
    assert_eq!(outcome(pod.clone(), &settings), expected);
    assert!(matches!(
        outcome(pod.clone(), &Settings::new("syncer:1")),
        Outcome::Deny(_)
    ));
    pod["metadata"]["annotations"]["gitvolume.dev/repo"] = json!("https://git.example/x.git");
    assert!(matches!(outcome(pod, &settings), Outcome::Deny(_)));
}

#[test]
fn a_second_container_with_an_injected_name_is_refused() {
    let mut pod = injected();
    let mut containers = pod["spec"]["containers"].as_array().unwrap().clone();
    containers.push(json!({"name": "gitvolume-once", "image": "x"}));
    pod["spec"]["containers"] = json!(containers);
    let outcome = outcome(pod, &Settings::new("syncer:1"));
    assert!(matches!(outcome, Outcome::Deny(_)), "{outcome:?}");
}
