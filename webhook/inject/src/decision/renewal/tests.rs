use json_patch::Patch;
use serde_json::json;

use super::*;

fn settings() -> Settings {
    Settings::new("registry.example/syncer:1")
}

fn pod() -> Value {
    json!({
        "metadata": {"annotations": {
            "gitvolume.dev/repo": "https://git.example/a.git",
            "gitvolume.dev/mount-path": "/src",
            "gitvolume.dev/containers": "web",
            "gitvolume.dev/size-limit": "1Gi",
        }},
        "spec": {
            "initContainers": [{"name": "first", "image": "a"}],
            "containers": [
                {"name": "web", "image": "a", "env": [{"name": "A", "value": "b"}]},
                {"name": "other", "image": "a"},
            ],
        },
    })
}

fn injected(mut pod: Value) -> Value {
    let review = Review::of_pod(pod.clone());
    let answer = answer(&review, &settings(), &Namespace::default()).unwrap();
    json_patch::patch(&mut pod, &answer.patch.unwrap()).unwrap();
    pod
}

fn renewed(pod: &Value) -> Renewal {
    let review = Review::of_pod(pod.clone());
    let renewal = renew(&review, &settings(), &Namespace::default()).unwrap();
    renewal.unwrap()
}

fn annotate(pod: &mut Value, key: &str, value: &str) {
    pod["metadata"]["annotations"][format!("gitvolume.dev/{key}")] = json!(value);
}

#[test]
fn renewal_ignores_the_order_of_mounts() {
    let mut pod = injected(pod());
    let renewal = renewed(&pod);
    assert_eq!((renewal.differences.len(), renewal.is_same), (0, true));
    assert_eq!(renewal.pod, pod);
    let mounts = pod["spec"]["containers"][0]["volumeMounts"].as_array_mut();
    mounts
        .unwrap()
        .push(json!({"name": "cache", "mountPath": "/a"}));
    let volumes = pod["spec"]["volumes"].as_array_mut().unwrap();
    volumes.push(json!({"name": "cache", "emptyDir": {}}));
    let renewal = renewed(&pod);
    assert_eq!((renewal.differences.len(), renewal.is_same), (0, true));
}

#[test]
fn defaults_of_the_api_server_are_no_difference_and_removals_by_the_author_are() {
    let mut pod = pod();
    annotate(&mut pod, "resources.limits.memory", "1Gi");
    let mut live = injected(pod);
    let own = |pod: &mut Value, edit: fn(&mut Value)| {
        let inits = pod["spec"]["initContainers"].as_array_mut().unwrap();
        let ours = inits.iter_mut().filter(|own| own["name"] == "gitvolume");
        ours.for_each(edit);
    };
    own(&mut live, |own| {
        own["terminationMessagePath"] = json!("/dev/termination-log");
        own["imagePullPolicy"] = json!("IfNotPresent");
        own["startupProbe"]["successThreshold"] = json!(1);
    });
    assert!(renewed(&live).is_same);
    let annotations = live["metadata"]["annotations"].as_object_mut().unwrap();
    annotations.remove("gitvolume.dev/resources.limits.memory");
    assert!(!renewed(&live).is_same);
    own(&mut live, |own| {
        own["securityContext"]["privileged"] = json!(true)
    });
    assert!(!renewed(&live).is_same);
}

/// An annotation changed after the injection has the same effect as one changed before it.
#[test]
fn a_changed_annotation_has_the_same_effect_as_on_a_new_pod() {
    for (key, value, difference) in [
        ("ref", "v1", "container gitvolume: args"),
        ("period", "1m", "container gitvolume: args"),
        (
            "repo",
            "https://git.example/b.git",
            "container gitvolume: args",
        ),
        ("secret", "keys", "container gitvolume: args"),
        ("depth", "3", "container gitvolume: args"),
        ("mode", "once", "container gitvolume-once is missing"),
        ("mount-path", "/other", "container web: volumeMounts"),
        ("read-only", "false", "container web: volumeMounts"),
        ("containers", "other", "container web: volumeMounts"),
        ("init-containers", "first", "container first: volumeMounts"),
        ("size-limit", "2Gi", "volume gitvolume-content: emptyDir"),
        ("medium", "memory", "volume gitvolume-content: emptyDir"),
        ("user", "1234", "container gitvolume: "),
        (
            "resources.requests.cpu",
            "50m",
            "container gitvolume: resources",
        ),
        (
            "resources.limits.memory",
            "1Gi",
            "container gitvolume: resources",
        ),
        ("position", "first", "container gitvolume: its position"),
        ("link", "current", "container gitvolume: args"),
        ("metrics-port", "9000", "container gitvolume: args"),
    ] {
        let mut edited = injected(pod());
        annotate(&mut edited, key, value);
        let mut fresh = pod();
        annotate(&mut fresh, key, value);
        let renewal = renewed(&edited);
        assert_eq!(renewal.pod, injected(fresh), "{key}");
        assert!(!renewal.is_same, "{key}");
        let differences = renewal.differences.join("; ");
        assert!(differences.contains(difference), "{key}: {differences}");
    }
}

#[test]
fn repositories_that_are_no_longer_requested_are_removed() {
    let mut edited = injected(pod());
    let annotations = edited["metadata"]["annotations"].as_object_mut().unwrap();
    annotations.retain(|key, _| key == "gitvolume.dev/status");
    let renewal = renewed(&edited);
    assert_eq!(renewal.pod["spec"], pod()["spec"]);
    let mut edited = injected(pod());
    let annotations = edited["metadata"]["annotations"].as_object_mut().unwrap();
    annotations.remove("gitvolume.dev/size-limit");
    let renewal = renewed(&edited);
    assert_eq!(renewal.differences, ["volume gitvolume-content: emptyDir"]);
}

#[test]
fn an_injection_edited_by_hand_is_repaired() {
    type Edit = fn(&mut Value);
    let edits: [(&str, Edit); 7] = [
        ("container gitvolume: its position", |pod| {
            let inits = pod["spec"]["initContainers"].as_array_mut().unwrap();
            inits.reverse();
        }),
        ("container web: volumeMounts", |pod| {
            let web = pod["spec"]["containers"][0].as_object_mut().unwrap();
            web.remove("volumeMounts");
        }),
        ("container gitvolume: restartPolicy", |pod| {
            let inits = pod["spec"]["initContainers"].as_array_mut().unwrap();
            for own in inits {
                own.as_object_mut().unwrap().remove("restartPolicy");
            }
        }),
        ("container gitvolume is missing", |pod| {
            let inits = pod["spec"]["initContainers"].as_array_mut().unwrap();
            inits.retain(|own| own["name"] != "gitvolume");
        }),
        ("container gitvolume is missing", |pod| {
            let inits = pod["spec"]["initContainers"].as_array_mut().unwrap();
            let own = inits.iter().position(|own| own["name"] == "gitvolume");
            let own = inits.remove(own.unwrap());
            let containers = pod["spec"]["containers"].as_array_mut().unwrap();
            containers.insert(0, own);
        }),
        ("container gitvolume: image", |pod| {
            let inits = pod["spec"]["initContainers"].as_array_mut().unwrap();
            for own in inits.iter_mut().filter(|own| own["name"] == "gitvolume") {
                own["image"] = json!("other");
            }
        }),
        ("container gitvolume: volumeMounts", |pod| {
            let inits = pod["spec"]["initContainers"].as_array_mut().unwrap();
            for own in inits.iter_mut().filter(|own| own["name"] == "gitvolume") {
                own["volumeMounts"].as_array_mut().unwrap().pop();
            }
        }),
    ];
    let whole = injected(pod());
    for (difference, edit) in edits {
        let mut edited = whole.clone();
        edit(&mut edited);
        let renewal = renewed(&edited);
        assert_eq!(renewal.pod, whole, "{difference}");
        assert!(!renewal.is_same, "{difference}");
        let syncer_config = renewal.differences.join("; ");
        assert!(
            syncer_config.contains(difference),
            "{difference}: {syncer_config}"
        );
    }
}

#[test]
fn without_the_status_the_injection_is_removed_completely_or_not_at_all() {
    let mut edited = injected(pod());
    let annotations = edited["metadata"]["annotations"].as_object_mut().unwrap();
    annotations.remove("gitvolume.dev/status");
    let mut bare = edited.clone();
    json_patch::patch(&mut bare, &uninject(&edited).unwrap().unwrap()).unwrap();
    assert_eq!(bare, pod());
    let patched = |mut pod: Value, patch: Option<Patch>| {
        json_patch::patch(&mut pod, &patch.unwrap_or_default()).unwrap();
        pod
    };
    // Only the status records that a volume was a gitRepo volume.
    let old = json!({"spec": {
        "volumes": [{"name": "src", "gitRepo": {"repository": "https://git.example/a.git"}}],
        "containers": [{"name": "a", "volumeMounts": [{"name": "src", "mountPath": "/src"}]}],
    }});
    let mut edited = injected(old.clone());
    assert_eq!(patched(edited.clone(), uninject(&edited).unwrap()), {
        let mut bare = old.clone();
        bare["metadata"] = json!({});
        bare
    });
    edited["metadata"]["annotations"] = json!({});
    let error = uninject(&edited).unwrap_err().to_string();
    assert!(error.contains("gitvolume.dev/status"), "{error}");
}
