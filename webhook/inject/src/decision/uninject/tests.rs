use super::*;
use crate::Namespace;
use crate::Review;
use crate::Settings;
use crate::answer;

fn patched(mut pod: Value, patch: Option<Patch>) -> Value {
    json_patch::patch(&mut pod, &patch.unwrap_or_default()).unwrap();
    pod
}

fn injected(pod: &Value, settings: &Settings) -> Value {
    let review = Review::of_pod(pod.clone());
    let answer = answer(&review, settings, &Namespace::default()).unwrap();
    assert!(answer.patch.is_some(), "{:?}", answer.outcome);
    patched(pod.clone(), answer.patch)
}

fn undone(pod: &Value) -> Value {
    patched(pod.clone(), uninject(pod).unwrap())
}

fn pod() -> Value {
    json!({
        "metadata": {"annotations": {
            "gitvolume.dev/repo": "https://git.example/a.git",
            "gitvolume.dev/secret": "keys",
            "gitvolume.dev/link": "current",
            "gitvolume.dev/safe-directory": "true",
            "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes": "cache, html",
        }},
        "spec": {
            "imagePullSecrets": [{"name": "mine"}],
            "volumes": [
                {"name": "html", "gitRepo": {"repository": "https://u:p@git.example/b.git"}},
                {"name": "cache", "emptyDir": {}},
            ],
            "initContainers": [{"name": "first"}],
            "containers": [{
                "name": "app",
                "env": [{"name": "A", "value": "b"}],
                "volumeMounts": [{"name": "html", "mountPath": "/html"}],
            }],
        },
    })
}

#[test]
fn uninject_restores_the_original_pod_byte_for_byte() {
    let mut settings = Settings::new("registry.example/syncer:1");
    settings.image_pull_secrets = vec!["mine".to_owned(), "theirs".to_owned()];
    let pod = pod();
    let after = injected(&pod, &settings);
    assert_eq!(after["spec"]["imagePullSecrets"][1]["name"], "theirs");
    assert_eq!(undone(&after), pod);
    assert_eq!(uninject(&pod).unwrap(), None);
}

#[test]
fn uninject_keeps_additions_of_other_mutators() {
    let settings = Settings::new("registry.example/syncer:1");
    let mut after = injected(&pod(), &settings);
    let mount = json!({"name": "gitvolume-content", "mountPath": "/own", "subPath": "x"});
    let mounts = after.pointer_mut("/spec/containers/0/volumeMounts");
    mounts.unwrap().as_array_mut().unwrap().push(mount.clone());
    let containers = after["spec"]["containers"].as_array_mut().unwrap();
    containers.push(json!({"name": "proxy"}));
    after["metadata"]["annotations"][evictable::KEY] = json!("cache,html,gitvolume-state,theirs");
    let undone = undone(&after);
    assert_eq!(
        undone["spec"]["containers"][0]["volumeMounts"],
        json!([{"name": "html", "mountPath": "/html"}, mount])
    );
    assert_eq!(undone["spec"]["containers"][1]["name"], "proxy");
    let volumes = undone["spec"]["volumes"].as_array().unwrap();
    let names: Vec<&str> = volumes
        .iter()
        .filter_map(|own| own["name"].as_str())
        .collect();
    assert_eq!(names, ["html", "cache", "gitvolume-content"]);
    assert_eq!(
        undone["metadata"]["annotations"][evictable::KEY],
        "cache,html,theirs"
    );
}

#[test]
fn a_status_alone_removes_nothing_of_the_authors() {
    let status = r#"{"volumes":["data"],"gitRepos":{"data":{"repository":"https://x/y"}}}"#;
    let pod = json!({
        "metadata": {"annotations": {"gitvolume.dev/status": status}},
        "spec": {
            "volumes": [{"name": "data", "emptyDir": {}}],
            "initContainers": [{"name": "gitvolume", "command": ["/own"]}],
            "containers": [{"name": "app"}],
        },
    });
    let undone = undone(&pod);
    assert_eq!(undone["spec"], pod["spec"]);
    assert_eq!(undone["metadata"], json!({}));
}
