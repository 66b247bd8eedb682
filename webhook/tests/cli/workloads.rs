//! Every kind with a Pod in it, and what has none.

use serde_json::Value;
use serde_json::json;

use crate::cli::run;
use crate::cli::written;

/// The kinds, and where each has its Pod.
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
        "note: -:document 1: left as it is: a template, not yet YAML\n"
    );
    let asking = broken.replace(
        "kind: Pod",
        "annotations: {gitvolume.dev/repo: {{ .Values.repo }}}",
    );
    let ran = run(&["inject", "--check"], &asking);
    assert_eq!(ran.code, 1);
    assert_eq!(
        ran.err,
        "warning: -:document 1: left as it is: a template, not yet YAML\n"
    );
    let quoted = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n  annotations:\n    \
                  gitvolume.dev/repo: '{{ .Values.repo }}'\nspec: {containers: [{name: a}]}\n";
    let ran = run(&["inject"], quoted);
    assert_eq!((ran.code, ran.out.as_str()), (0, quoted));
    assert!(ran.err.contains("(Pod x): left as it is"), "{}", ran.err);
    assert_eq!(run(&["inject", "--check"], quoted).code, 1);
}

/// What a command is for and cannot handle is named by its place, and `--check` fails.
#[test]
fn what_is_not_handled_is_named_and_fails_a_check() {
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
            "expected a map of texts, not a list",
        ),
        (
            "inject",
            format!("apiVersion: apps/v1\nkind: Deployment\nspec: {{template: {{metadata: {{{keys}}}}}}}\n"),
            "its Pod template has no containers",
        ),
        (
            "inject",
            format!("apiVersion: v1\nkind: Pod\nmetadata: {{? [a]: b, {keys}}}\n"),
            "no JSON says the same",
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
            "container c: left as it is: it runs git clone; in its place write gitvolume.dev/repo: \"https://git.example/a\"",
        ),
    ] {
        let ran = run(&[command, "--check"], &text);
        assert_eq!(ran.code, 1, "{text}{}", ran.err);
        assert!(ran.err.starts_with("warning: "), "{text}{}", ran.err);
        assert!(ran.err.contains(place), "{text}{}", ran.err);
        let ran = run(&[command], &text);
        assert_eq!((ran.code, ran.out), (0, text));
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

/// As kubectl reads it: the last one counts.
#[test]
fn a_key_that_is_given_twice_is_read_as_kubectl_reads_it() {
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
        "warning: -:document 1: line 8: the key \"gitvolume.dev/ref\" is given more than once; the \
         last one counts, as for kubectl\n\
         warning: -:document 1: line 13: the key \"image\" is given more than once; the last one \
         counts, as for kubectl\n"
    );
    assert!(ran.out.contains("--ref=v2"), "{}", ran.out);
    assert!(ran.out.contains("# not this one"), "{}", ran.out);
    let back = run(&["uninject"], &ran.out);
    assert_eq!((back.code, back.out.as_str()), (0, text), "{}", back.err);
}

/// A git-sync sidecar with this image, these arguments and these variables.
fn sidecar(image: &str, args: &str, env: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: site}}\nspec:\n  template:\n    \
         metadata:\n      labels: {{app: site}}\n      annotations: \
         {{kubectl.kubernetes.io/default-container: sync}}\n    spec:\n      containers:\n        - \
         name: sync\n          image: {image}\n          args: [{args}]\n          env: [{env}]\n          \
         ports: [{{name: metrics, containerPort: 2345}}]\n          volumeMounts: [{{name: html, \
         mountPath: /git}}, {{name: key, mountPath: /etc/git-secret}}]\n        - name: web\n          \
         image: nginx\n          volumeMounts: [{{name: html, mountPath: /www}}]\n      volumes: \
         [{{name: html, emptyDir: {{}}}}, {{name: key, secret: {{secretName: k}}}}]\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: m}}\nspec: {{selector: {{app: site}}, \
         ports: [{{port: 1, targetPort: metrics}}]}}\n"
    )
}

#[test]
fn a_conversion_names_what_the_version_and_the_references_bring() {
    let sync = "registry.k8s.io/git-sync/git-sync";
    let http = "--repo=https://git.example/a.git, --root=/git, --dest=a";
    let ssh = "--repo=git@git.example:a.git, --root=/git, --dest=a";
    let convert = |image: &str, args: &str, env: &str| {
        let ran = run(&["convert"], &sidecar(image, args, env));
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(
            ran.out.contains("gitvolume.dev/repo"),
            "{}{}",
            ran.err,
            ran.out
        );
        ran
    };
    // The names of flags tell nothing where the image does.
    let ran = convert(
        &format!("{sync}:v4.4.0"),
        &format!("{http}, --wait=30, --v=2"),
        "",
    );
    assert!(!ran.out.contains("gitvolume.dev/depth"), "{}", ran.out);
    assert!(!ran.err.contains("depth"), "{}", ran.err);
    let ran = convert(&format!("{sync}:v3.6.9"), http, "");
    assert!(
        ran.out.contains("gitvolume.dev/depth: \"0\""),
        "{}",
        ran.out
    );
    for image in [
        sync.to_owned(),
        format!("{sync}:stable"),
        format!("{sync}:20240131"),
        format!("{sync}@sha256:{}", "0".repeat(64)),
    ] {
        let ran = convert(&image, http, "");
        assert!(
            ran.err.contains("its version is not known"),
            "{image}: {}",
            ran.err
        );
    }
    let ran = convert(
        &format!("{sync}:v2.0.6"),
        ssh,
        "{name: GIT_SYNC_SSH, value: \"yes\"}",
    );
    assert!(
        ran.err
            .contains("the Secret \"k\" needs known_hosts beside the key"),
        "{}",
        ran.err
    );
    for place in [
        "the annotation kubectl.kubernetes.io/default-container still names sync",
        "Service m: spec.ports[0].targetPort still names sync, or a port of it",
    ] {
        assert!(ran.err.contains(place), "{}", ran.err);
    }
}
