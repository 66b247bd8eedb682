//! Injected manifests that were edited by hand: `inject` repairs the edit, or reports it.

use serde_json::Value;
use serde_json::json;

use crate::Ran;
use crate::run;

/// A Deployment with an init container, so that the order of init containers matters, and two
/// containers.
const MANIFEST: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    metadata:
      annotations: {gitvolume.dev/repo: https://git.example/site.git}
    spec:
      initContainers: [{name: prepare, image: busybox}]
      containers:
        - {name: web, image: nginx}
        - {name: other, image: nginx}
";

const CONTENT: &str = "gitvolume-content";

fn injected() -> Value {
    serde_saphyr::from_str(&run(&["inject"], MANIFEST).out).unwrap()
}

/// Runs a command on an injected manifest after an edit of its Pod template.
fn edited(args: &[&str], edit: fn(&mut Value)) -> Ran {
    let mut manifest = injected();
    edit(&mut manifest["spec"]["template"]);
    run(args, &serde_saphyr::to_string(&manifest).unwrap())
}

fn remove(list: &mut Value, name: &str) {
    let list = list.as_array_mut().unwrap();
    list.retain(|own| own["name"] != name);
}

/// A part, its edit, and the words in the output of `explain`.
type Edit = (&'static str, fn(&mut Value), &'static str);

const REPAIRED: [Edit; 13] = [
    (
        "the order",
        |pod| {
            pod["spec"]["initContainers"]
                .as_array_mut()
                .unwrap()
                .reverse()
        },
        "container gitvolume: its position",
    ),
    (
        "a mount",
        |pod| {
            let web = pod["spec"]["containers"][0].as_object_mut();
            web.unwrap().remove("volumeMounts");
        },
        "container web: volumeMounts",
    ),
    (
        "restartPolicy",
        |pod| pod["spec"]["initContainers"][1]["restartPolicy"] = Value::Null,
        "container gitvolume: restartPolicy",
    ),
    (
        "the variables",
        |pod| pod["spec"]["initContainers"][1]["env"] = json!([]),
        "container gitvolume: env",
    ),
    (
        "the image",
        |pod| pod["spec"]["initContainers"][1]["image"] = json!("other:1"),
        "container gitvolume: image",
    ),
    (
        "the probe",
        |pod| pod["spec"]["initContainers"][1]["startupProbe"] = Value::Null,
        "container gitvolume: startupProbe",
    ),
    (
        "a volume",
        |pod| remove(&mut pod["spec"]["volumes"], "gitvolume-state"),
        "volume gitvolume-state is missing",
    ),
    (
        "the list of containers",
        |pod| {
            let init = pod["spec"]["initContainers"].as_array_mut().unwrap().pop();
            pod["spec"]["containers"]
                .as_array_mut()
                .unwrap()
                .extend(init);
        },
        "container gitvolume is missing",
    ),
    (
        "the container",
        |pod| remove(&mut pod["spec"]["initContainers"], "gitvolume"),
        "container gitvolume is missing",
    ),
    (
        "the annotation for the guard",
        |pod| pod["metadata"]["annotations"]["gitvolume.dev/injected"] = json!("-"),
        "annotation gitvolume.dev/injected",
    ),
    (
        "the status",
        |pod| pod["metadata"]["annotations"]["gitvolume.dev/status"] = json!("{"),
        "annotation gitvolume.dev/status",
    ),
    (
        "the annotation for the autoscaler",
        |pod| {
            let annotations = pod["metadata"]["annotations"].as_object_mut().unwrap();
            annotations.retain(|key, _| !key.starts_with("cluster-autoscaler"));
        },
        "annotation cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes",
    ),
    (
        "everything but the status",
        |pod| {
            pod["spec"] =
                serde_saphyr::from_str::<Value>(MANIFEST).unwrap()["spec"]["template"]["spec"]
                    .take();
        },
        "adds gitvolume",
    ),
];

#[test]
fn an_edit_by_hand_is_repaired_and_explained() {
    for (what, edit, explained) in REPAIRED {
        assert_eq!(edited(&["inject", "--check"], edit).code, 1, "{what}");
        let ran = edited(&["inject"], edit);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{what}");
        let repaired: Value = serde_saphyr::from_str(&ran.out).unwrap();
        assert_eq!(repaired, injected(), "{what}");
        let ran = edited(&["explain"], edit);
        let text = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(explained), "{what}: {}", ran.out);
        assert!(!text.contains("a new Pod would get the same"), "{what}");
    }
}

#[test]
fn a_mount_by_hand_beside_the_injection_keeps_its_volume() {
    let edit = |pod: &mut Value| {
        pod["spec"]["containers"][0]["volumeMounts"][0]["mountPath"] = json!("/other");
    };
    assert_eq!(edited(&["inject", "--check"], edit).code, 1);
    let ran = edited(&["inject"], edit);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let renewed: Value = serde_saphyr::from_str(&ran.out).unwrap();
    let pod = &renewed["spec"]["template"]["spec"];
    let mut expected = injected();
    let expected = &mut expected["spec"]["template"]["spec"];
    assert_eq!(pod["volumes"], expected["volumes"]);
    assert_eq!(pod["initContainers"], expected["initContainers"]);
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    let places: Vec<&Value> = mounts.iter().map(|mount| &mount["mountPath"]).collect();
    assert_eq!(places, ["/other", "/git"]);
    let again = run(&["inject", "--check"], &ran.out);
    assert_eq!((again.code, again.err.as_str()), (0, ""));
    // Nothing fills the volume once the injection is gone.
    let ran = edited(&["uninject"], edit);
    assert!(
        ran.err.contains(
            "(Deployment shop/web): container web still mounts the volume gitvolume-content at \
             /other, and no container writes files into it; remove the mount and the volume\n"
        ),
        "{}",
        ran.err
    );
    assert_eq!(edited(&["uninject", "--check"], edit).code, 1);
}

/// Renamed parts cannot be recognised; their residues are reported.
#[test]
fn a_renamed_part_of_an_injection_is_reported() {
    let volume = |pod: &mut Value| {
        let text = pod["spec"].to_string().replace(CONTENT, "content");
        pod["spec"] = serde_json::from_str(&text).unwrap();
    };
    for (command, code) in [("inject", 2), ("uninject", 0)] {
        let ran = edited(&[command], volume);
        assert_eq!(ran.code, code, "{}", ran.err);
        assert!(
            ran.err.contains(
                "missing from the Pod: the injected gitvolume-content; if a volume was renamed by hand, remove it and its mounts\n"
            ),
            "{command}: {}",
            ran.err
        );
    }
    let container = |pod: &mut Value| {
        pod["spec"]["initContainers"][1]["name"] = json!("syncer");
    };
    for command in ["inject", "uninject"] {
        let ran = edited(&[command], container);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(
            ran.err.contains(
                "container syncer is an injected container under another name; remove it\n"
            ),
            "{command}: {}",
            ran.err
        );
        assert_eq!(edited(&[command, "--check"], container).code, 1);
    }
}

#[test]
fn a_volume_that_was_removed_by_hand_leaves_the_autoscalers_list() {
    let edit = |pod: &mut Value| remove(&mut pod["spec"]["volumes"], "gitvolume-state");
    let ran = edited(&["uninject"], edit);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!ran.out.contains("cluster-autoscaler"), "{}", ran.out);
}

/// Otherwise a part of the injection would remain: a volume that nothing fills.
#[test]
fn a_renamed_converted_git_repo_volume_is_rejected() {
    let old = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers: [{name: a, image: a, \
               volumeMounts: [{name: src, mountPath: /a}]}]\n  volumes: [{name: src, gitRepo: {repository: \
               'https://git.example/a.git'}}]\n";
    let injected = run(&["inject"], old).out;
    for (before, after, volume) in [
        ("name: src", "name: source", "source"),
        ("gitRepos", "others", "src"),
    ] {
        let edited = injected.replace(before, after);
        assert_ne!(edited, injected);
        for command in ["inject", "uninject"] {
            let ran = run(&[command], &edited);
            assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
            let sentence = format!(
                "volume {volume}: gitvolume.dev/status has no entry for it, and it is the only"
            );
            assert!(ran.err.contains(&sentence), "{command}: {}", ran.err);
        }
    }
}
