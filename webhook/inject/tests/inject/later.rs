//! Changes to a Pod after the injection, and mounts of the injected volumes by name.

use inject::Outcome;
use inject::SkipReason;
use serde_json::Value;
use serde_json::json;

use crate::pods::ask;
use crate::pods::patched;
use crate::pods::settings;

fn pod(annotations: Value) -> Value {
    let mut pod = json!({
        "metadata": {"annotations": {"gitvolume.dev/repo": "https://git.example/site.git"}},
        "spec": {"containers": [{"name": "web", "image": "nginx"}]},
    });
    for (key, value) in annotations.as_object().unwrap() {
        pod["metadata"]["annotations"][format!("gitvolume.dev/{key}")] = value.clone();
    }
    pod
}

#[test]
fn a_port_that_another_container_gets_later_is_warned_about() {
    let mut pod = pod(json!({"metrics-port": "9300"}));
    pod = patched(&pod, &ask(&pod, &settings()));
    assert_eq!(ask(&pod, &settings()).warnings, [""; 0]);
    let mesh = json!({"name": "mesh", "ports": [{"containerPort": 9300, "protocol": "TCP"}]});
    pod["spec"]["containers"].as_array_mut().unwrap().push(mesh);
    let again = ask(&pod, &settings());
    assert_eq!(again.outcome, Outcome::Skip(SkipReason::AlreadyInjected));
    assert_eq!(
        again.warnings,
        [
            "gitvolume.dev/metrics-port: container mesh has port 9300 too; only one of the two containers can listen on it"
        ]
    );
}

/// A Pod may mount a volume that only the injection adds: it is valid after the answer.
#[test]
fn a_sub_path_mount_of_an_added_volume_stays_at_its_first_revision() {
    let mount = json!({"name": "gitvolume-content", "mountPath": "/conf", "subPath": "conf"});
    for (mode, is_told) in [("sync", true), ("once", false)] {
        let mut pod = pod(json!({"mode": mode, "layout": "projected"}));
        pod["spec"]["containers"][0]["volumeMounts"] = json!([mount]);
        let answer = ask(&pod, &settings());
        assert!(matches!(answer.outcome, Outcome::Inject(_)));
        let told = [
            "container web: /conf mounts gitvolume-content by subPath: the kubelet never updates it after the first revision",
        ];
        assert_eq!(answer.warnings, told[..usize::from(is_told)]);
        let after = patched(&pod, &answer);
        assert_eq!(after["spec"]["containers"][0]["volumeMounts"][0], mount);
    }
}

#[test]
fn mounts_of_the_files_layout_that_do_not_follow_the_revisions_are_named() {
    for (sub_path, expected) in [
        (
            "",
            Some("whole, with the syncer's own files: mount its subPath tree"),
        ),
        (
            "conf",
            Some("by another subPath than tree, which has the repository's files"),
        ),
        (
            "tree/nginx.conf",
            Some("by subPath: the kubelet never updates a single file after the first revision"),
        ),
        ("tree/sites", None),
        ("tree", None),
    ] {
        let mut pod = pod(json!({"layout": "files"}));
        pod["spec"]["containers"][0]["volumeMounts"] =
            json!([{"name": "gitvolume-content", "mountPath": "/x", "subPath": sub_path}]);
        let warnings = ask(&pod, &settings()).warnings;
        let sentence = |what| format!("container web: /x mounts gitvolume-content {what}");
        assert_eq!(
            warnings,
            expected.map(sentence).into_iter().collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_hundred_containers_and_two_thousand_variables_get_no_more_operations_than_mounts() {
    let mut pod = pod(json!({}));
    let env: Vec<Value> = (0..2000)
        .map(|index| json!({"name": format!("V{index}"), "value": "x"}))
        .collect();
    let containers: Vec<Value> = (0..100)
        .map(|index| json!({"name": format!("c{index}"), "image": "x", "env": env[index * 20..]}))
        .collect();
    pod["spec"]["containers"] = json!(containers);
    let answer = ask(&pod, &settings());
    // Three volumes, a mount in each container, the syncer, three annotations.
    assert_eq!(answer.patch.as_ref().unwrap().len(), 107);
    let again = ask(&patched(&pod, &answer), &settings());
    assert_eq!(again.outcome, Outcome::Skip(SkipReason::AlreadyInjected));
}

#[test]
fn many_warnings_are_cut_to_the_limit() {
    let mut pod = pod(json!({}));
    let containers: Vec<Value> = (0..100)
        .map(|index| {
            let mounts = json!([{"name": "v", "mountPath": "/git/below"}]);
            json!({"name": format!("c{index}"), "image": "x", "volumeMounts": mounts})
        })
        .collect();
    pod["spec"]["containers"] = json!(containers);
    let warnings = ask(&pod, &settings()).warnings;
    assert_eq!(warnings.len(), 21);
    assert_eq!(
        warnings[20],
        "gitvolume.dev/: 80 more warnings are not shown"
    );
}
