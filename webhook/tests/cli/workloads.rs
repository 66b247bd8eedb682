//! Every kind with a Pod in it, and what has none.

use serde_json::Value;
use serde_json::json;

use crate::cli::run;
use crate::cli::written;

/// The kinds, and where each has its Pod.
const KINDS: [(&str, &str, &str); 10] = [
    ("v1", "Pod", ""),
    ("v1", "PodTemplate", "/template"),
    ("v1", "ReplicationController", "/spec/template"),
    ("apps/v1", "DaemonSet", "/spec/template"),
    ("apps/v1", "Deployment", "/spec/template"),
    ("apps/v1", "ReplicaSet", "/spec/template"),
    ("apps/v1", "StatefulSet", "/spec/template"),
    ("batch/v1", "CronJob", "/spec/jobTemplate/spec/template"),
    ("batch/v1", "Job", "/spec/template"),
    ("argoproj.io/v1alpha1", "Rollout", "/spec/template"),
];

/// An object of a kind, around this Pod.
fn object(api_version: &str, kind: &str, at: &str, pod: &Value) -> Value {
    let mut object = pod.clone();
    for key in at.rsplit('/').filter(|key| !key.is_empty()) {
        object = json!({key: object});
    }
    object["apiVersion"] = json!(api_version);
    object["kind"] = json!(kind);
    object["metadata"]["name"] = json!("web");
    object
}

fn yaml(value: &Value) -> String {
    serde_saphyr::to_string(value).unwrap()
}

fn read(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

#[test]
fn every_kind_is_injected_where_its_pod_is_and_as_a_list_of_all() {
    let annotated = json!({
        "metadata": {"annotations": {"gitvolume.dev/repo": "https://git.example/a.git"}},
        "spec": {"containers": [{"name": "app"}]},
    });
    // A template without metadata, too.
    let old = json!({"spec": {
        "containers": [{"name": "app", "volumeMounts": [{"name": "src", "mountPath": "/src"}]}],
        "volumes": [{"name": "src", "gitRepo": {"repository": "https://git.example/a.git"}}],
    }});
    for (pod, container) in [(annotated, "gitvolume"), (old, "gitvolume-gitrepo")] {
        let mut all = Vec::new();
        for (api_version, kind, at) in KINDS {
            let object = object(api_version, kind, at, &pod);
            let ran = run(&["inject"], &yaml(&object));
            assert_eq!(ran.code, 0, "{}", ran.err);
            let injected = read(&ran.out);
            let inits = injected.pointer(&format!("{at}/spec/initContainers/0/name"));
            assert_eq!(inits, Some(&json!(container)), "{kind}");
            all.push((object, injected));
        }
        let (before, after): (Vec<Value>, Vec<Value>) = all.into_iter().unzip();
        let list = |items: &[Value]| json!({"apiVersion": "v1", "kind": "List", "items": items});
        let injected = read(&run(&["inject"], &yaml(&list(&before))).out);
        assert_eq!(injected, list(&after));
    }
}

#[test]
fn what_has_no_pod_of_kubernetes_is_passed_on() {
    for text in [
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n",
        "apiVersion: example.com/v1\nkind: Deployment\nspec: {template: {metadata: {annotations: \
         {gitvolume.dev/repo: https://git.example/a}}, spec: {containers: []}}}\n",
        "- hosts: all\n  tasks: []\n",
        "just a text\n",
        "? [a, b]\n: !Ref c\n",
        "",
        "\n# nothing\n",
    ] {
        assert_eq!(written(&["inject"], text), text);
        assert_eq!(written(&["uninject"], text), text);
    }
}

#[test]
fn charts_templates_are_left_alone_and_told_of() {
    let broken = "{{- if .Values.web }}\nkind: Pod\n{{- end }}\n";
    let ran = run(&["inject"], broken);
    assert_eq!((ran.code, ran.out.as_str()), (0, broken));
    assert_eq!(
        ran.err,
        "-:document 1: left as it is: a template, not yet YAML\n"
    );
    let quoted = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n  annotations:\n    \
                  gitvolume.dev/repo: '{{ .Values.repo }}'\nspec: {containers: [{name: a}]}\n";
    let ran = run(&["inject"], quoted);
    assert_eq!((ran.code, ran.out.as_str()), (0, quoted));
    assert!(ran.err.contains("(Pod x): left as it is"), "{}", ran.err);
}
