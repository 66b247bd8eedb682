//! All kinds with a Pod template, and objects without one.

use serde_json::Value;
use serde_json::json;

use crate::run;
use crate::written;

/// The kinds, each with the path of its Pod.
const KINDS: [(&str, &str, &str); 15] = [
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
    ("serving.knative.dev/v1", "Service", "/spec/template"),
    ("apps.kruise.io/v1alpha1", "CloneSet", "/spec/template"),
    ("apps.openshift.io/v1", "DeploymentConfig", "/spec/template"),
    (
        "kubeflow.org/v1",
        "TFJob",
        "/spec/tfReplicaSpecs/Worker/template",
    ),
    (
        "keda.sh/v1alpha1",
        "ScaledJob",
        "/spec/jobTargetRef/template",
    ),
];

/// An object of a kind that contains this Pod.
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
fn every_kind_is_injected_in_its_pod_and_in_a_list_of_all_kinds() {
    let annotated = json!({
        "metadata": {"annotations": {"gitvolume.dev/repo": "https://git.example/a.git"}},
        "spec": {"containers": [{"name": "app"}]},
    });
    // Also a template without metadata.
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
fn an_object_without_a_pod_is_passed_on() {
    for text in [
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n",
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
fn chart_templates_are_skipped_and_reported() {
    let broken = "{{- if .Values.web }}\nkind: Pod\n{{- end }}\n";
    let ran = run(&["inject"], broken);
    assert_eq!((ran.code, ran.out.as_str()), (0, broken));
    assert_eq!(
        ran.err,
        "note: -:document 1: skipped: a template, not yet YAML\n"
    );
    let asking = broken.replace(
        "kind: Pod",
        "annotations: {gitvolume.dev/repo: {{ .Values.repo }}}",
    );
    let ran = run(&["inject", "--check"], &asking);
    assert_eq!(ran.code, 1);
    assert_eq!(
        ran.err,
        "warning: -:document 1: skipped: a template, not yet YAML\n"
    );
    let quoted = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n  annotations:\n    \
                  gitvolume.dev/repo: '{{ .Values.repo }}'\nspec: {containers: [{name: a}]}\n";
    let ran = run(&["inject"], quoted);
    assert_eq!((ran.code, ran.out.as_str()), (0, quoted));
    assert!(ran.err.contains("(Pod x): skipped"), "{}", ran.err);
    assert_eq!(run(&["inject", "--check"], quoted).code, 1);
}

/// A part that a command should handle but cannot is reported with its place, and `--check` fails.
#[test]
fn an_unhandled_part_is_reported_and_fails_a_check() {
    let keys = "annotations: {gitvolume.dev/repo: https://git.example/a}";
    let sync = "[{name: git-sync, image: registry.k8s.io/git-sync/git-sync:v4.4.0}]";
    for (command, text, place) in [
        (
            "inject",
            format!("apiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nspec: {{podMetadata: {{{keys}}}}}\n"),
            "gitvolume.dev/repo in spec.podMetadata.annotations",
        ),
        (
            "inject",
            format!("apiVersion: argoproj.io/v1alpha1\nkind: WorkflowTemplate\nspec: {{templates: [{{metadata: {{{keys}}}}}]}}\n"),
            "gitvolume.dev/repo in spec.templates[0].metadata.annotations",
        ),
        (
            "inject",
            format!("apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nspec: {{driver: {{{keys}}}}}\n"),
            "gitvolume.dev/repo in spec.driver.annotations",
        ),
        (
            "inject",
            format!("podAnnotations: {{}}\nserver: {{{keys}}}\n"),
            "gitvolume.dev/repo in server.annotations: the document has no kind",
        ),
        (
            "inject",
            "apiVersion: v1\nkind: Pod\nmetadata: {annotations: ['gitvolume.dev/repo: x']}\nspec: {containers: [{name: a}]}\n".to_owned(),
            "expected a map of strings, not a list",
        ),
        (
            "inject",
            "apiVersion: v1\nkind: Pod\nmetadata: {annotations: [{name: gitvolume.dev/repo, value: x}]}\nspec: {containers: [{name: a}]}\n".to_owned(),
            "gitvolume.dev/repo in metadata.annotations[0].name: expected a map of strings, not a list",
        ),
        (
            "inject",
            "apiVersion: v1\nkind: Pod\nmetadata: {annotations: 'gitvolume.dev/repo: x'}\nspec: {containers: [{name: a}]}\n".to_owned(),
            "gitvolume.dev/repo in metadata.annotations: expected a map of strings, not a text",
        ),
        (
            "inject",
            "apiVersion: v1\nkind: Pod\nmetadata: {annotations: {gitvolume.dev: {repo: x}}}\nspec: {containers: [{name: a}]}\n".to_owned(),
            "gitvolume.dev: expected an annotation such as gitvolume.dev/repo",
        ),
        (
            "inject",
            "apiVersion: v1\nkind: Pod\nmetadata: {annotations: {GitVolume.dev/repo: x}}\nspec: {containers: [{name: a}]}\n".to_owned(),
            "GitVolume.dev/repo: expected an annotation such as gitvolume.dev/repo",
        ),
        (
            "inject",
            format!("apiVersion: apps/v1\nkind: Deployment\nspec: {{template: {{metadata: {{{keys}}}}}}}\n"),
            "its Pod template has no containers",
        ),
        (
            "inject",
            format!("apiVersion: v1\nkind: Pod\nmetadata: {{? [a]: b, {keys}}}\n"),
            "it cannot be written as JSON",
        ),
        (
            "inject",
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata:\n  pod.yaml: |\n    metadata: {{{keys}}}\n    spec: {{containers: [{{name: base}}]}}\n"),
            "a Pod in a text in data.pod.yaml: the kind ConfigMap has no Pod template that this command supports",
        ),
        (
            "convert",
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata:\n  pod.yaml: |\n    spec:\n      containers: {sync}\n"),
            "a Pod in a text in data.pod.yaml",
        ),
        (
            "convert",
            format!("apiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nspec: {{containers: {sync}}}\n"),
            "container git-sync in spec.containers[0]",
        ),
        (
            "convert",
            "dags: {gitSync: {image: {repository: registry.k8s.io/git-sync/git-sync}}}\n".to_owned(),
            "git-sync in dags.gitSync.image.repository: the document has no kind",
        ),
        (
            "convert",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  initContainers: [{name: c, image: alpine/git, args: [clone, 'https://git.example/a', /a]}]\n  containers: [{name: b}]\n".to_owned(),
            "container c: skipped: it runs git clone; instead write gitvolume.dev/repo: \"https://git.example/a\"",
        ),
    ] {
        let ran = run(&[command, "--check"], &text);
        assert_eq!(ran.code, 1, "{text}{}", ran.err);
        assert!(ran.err.starts_with("warning: "), "{text}{}", ran.err);
        assert!(ran.err.contains(place), "{text}{}", ran.err);
        let ran = run(&[command], &text);
        assert_eq!((ran.code, &ran.out), (0, &text));
        // As with diff(1): there is a difference that the diff cannot show.
        let ran = run(&["diff"], &text);
        let expected = i32::from(command == "inject");
        assert_eq!((ran.code, ran.out.as_str()), (expected, ""), "{text}");
    }
    let text = format!("apiVersion: v1\nkind: Service\nmetadata: {{name: a, {keys}}}\n");
    let ran = run(&["explain"], &text);
    assert!(
        ran.err
            .contains("gitvolume.dev/repo in metadata.annotations"),
        "{}",
        ran.err
    );
}

/// As in kubectl, the last occurrence takes precedence.
#[test]
fn a_duplicate_key_is_read_as_by_kubectl() {
    let text = "\
apiVersion: v1
kind: Pod
metadata:
  name: web
  annotations:
    gitvolume.dev/repo: https://git.example/a.git
    gitvolume.dev/ref: v1 # not this one
    gitvolume.dev/ref: v2 # this one
spec:
  containers:
    - name: web
      image: a
      image: b
";
    let ran = run(&["inject"], text);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(
        ran.err,
        "warning: -:document 1: line 8: the key \"gitvolume.dev/ref\" is given more than once; the last one is used, as by kubectl\n\
         warning: -:document 1: line 13: the key \"image\" is given more than once; the last one is used, as by kubectl\n"
    );
    assert!(ran.out.contains("--ref=v2"), "{}", ran.out);
    assert!(ran.out.contains("# not this one"), "{}", ran.out);
    let back = run(&["uninject"], &ran.out);
    assert_eq!((back.code, back.out.as_str()), (0, text), "{}", back.err);
}

/// In flow style, in JSON, with quotes, for a whole map, and beside an anchor.
#[test]
fn a_duplicate_key_counts_once_in_every_style() {
    let start = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, ";
    let end = "spec: {containers: [{name: a, image: b}]}\n";
    let [first, second] =
        ["a", "b"].map(|own| format!("gitvolume.dev/repo: https://git.example/{own}"));
    for (text, line, key) in [
        (
            format!("{start}annotations: {{{first}, {second}}}}}\n{end}"),
            3,
            "gitvolume.dev/repo",
        ),
        (
            format!("{start}annotations: {{{first}}}, annotations: {{{second}}}}}\n{end}"),
            3,
            "annotations",
        ),
        (
            format!("{start}annotations: {{\"{}\n{end}", format!("{first}, {second}}}}}").replacen(": h", "\": h", 1)),
            3,
            "gitvolume.dev/repo",
        ),
        (
            format!("{start}annotations: &all {{{first}, {second}}}, labels: {{a: b}}}}\n{end}"),
            3,
            "gitvolume.dev/repo",
        ),
        (
            format!("{start}annotations: {{{second}}}}}\nspec: {{containers: []}}\n{end}"),
            5,
            "spec",
        ),
        (
            "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"web\", \"annotations\": \
             {\"gitvolume.dev/repo\": \"https://git.example/a\",\n\"gitvolume.dev/repo\": \
             \"https://git.example/b\"}}, \"spec\": {\"containers\": [{\"name\": \"a\", \"image\": \"b\"}]}}\n"
                .to_owned(),
            2,
            "gitvolume.dev/repo",
        ),
    ] {
        let ran = run(&["inject"], &text);
        assert_eq!(ran.code, 0, "{text}{}", ran.err);
        let sentence = format!(
            "warning: -:document 1: line {line}: the key {key:?} is given more than once; the last one is used, as by kubectl\n"
        );
        assert_eq!(ran.err, sentence, "{text}");
        assert!(ran.out.contains("--repo=https://git.example/b"), "{}", ran.out);
        assert_eq!(run(&["inject", "--check"], &ran.out).code, 0, "{}", ran.out);
        assert_eq!(run(&["uninject"], &ran.out).out, text);
    }
}

/// Knative sets the names in the Pod only; annotations refer to them.
#[test]
fn containers_of_knative_need_no_name() {
    let text = "\
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: site}
spec:
  template:
    metadata:
      annotations:
        gitvolume.dev/repo: https://git.example/a.git
        gitvolume.dev/containers: user-container
    spec:
      containers:
        - image: nginx
        - image: proxy
";
    let injected = written(&["inject"], text);
    let containers = &read(&injected)["spec"]["template"]["spec"]["containers"];
    assert_eq!(containers[0]["name"], Value::Null);
    assert_eq!(containers[0]["volumeMounts"][0]["mountPath"], "/git");
    assert_eq!(containers[1], json!({"image": "proxy"}));
    assert_eq!(written(&["uninject"], &injected), text);
    // A second run, and a run after an edit.
    assert_eq!(run(&["inject", "--check"], &injected).code, 0);
    let other = |text: &str| text.replace("user-container", "user-container-1");
    let renewed = read(&written(&["inject"], &other(&injected)));
    assert_eq!(renewed, read(&written(&["inject"], &other(text))));
    let explanation = run(&["explain"], text).out;
    assert!(
        explanation.contains("in user-container  /git"),
        "{explanation}"
    );
}
