//! The guard refuses a Pod that requests a repository and lacks the container that fetches it, and
//! no other.
//!
//! These tests remove the shared webhook and so run alone.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use inject::Outcome;
use inject::Review;
use inject::Settings;
use inject::SkipReason;
use inject::answer;
use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::installation::product;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::cluster::Cluster;
use tests::kubernetes::kubectl::Kubectl;
use tests::kubernetes::namespace::Namespace;
use tests::settings;

use crate::goldens;
use crate::toy::AFTER_US;
use crate::toy::Toy;

const POLICY: &str = "validatingadmissionpolicy/gitvolume-guard";
const BINDING: &str = "validatingadmissionpolicybinding/gitvolume-guard";
const WEBHOOK: &str = "mutatingwebhookconfiguration/gitvolume";
const PROGRAM: &str = "/gitvolume-syncer";
const REPO: &str = "https://git.example/site.git";

/// The chart's guard in force without the webhook; dropping it restores both.
pub(crate) struct Guarded<'a> {
    cluster: &'a Cluster,
}

impl<'a> Guarded<'a> {
    /// Installs the guard with these values over the chart's defaults.
    pub(crate) fn with(cluster: &'a Cluster, values: &[&str]) -> Result<Self, String> {
        let guarded = Self { cluster };
        let kubectl = cluster.kubectl();
        kubectl.run(&["delete", WEBHOOK, "--ignore-not-found"])?;
        let only = [
            "--show-only=templates/validatingadmissionpolicy.yaml",
            "--show-only=templates/validatingadmissionpolicybinding.yaml",
        ];
        let rendered = product::render(cluster, &[&only[..], values].concat());
        kubectl.apply(&rendered.map_err(|error| error.to_string())?)?;
        // Both changes take effect with a short delay, by a watch.
        let is_silent = values.contains(&AUDIT);
        guarded.probe("a guard in force", |output| {
            output.contains(POLICY_NAME) || is_silent && !output.contains("gitvolume.dev/mode")
        })?;
        Ok(guarded)
    }

    /// Waits for a message about a Pod that gets no repository from any webhook: its `mode` is
    /// wrong, which the webhook would report.
    fn probe(&self, what: &str, is_so: impl Fn(&str) -> bool) -> Result<(), String> {
        let namespace = Namespace::create(self.cluster.kubectl(), "guarded", &[])?;
        let annotations = json!({"gitvolume.dev/repo": REPO, "gitvolume.dev/mode": "never"});
        let pod = pod("probe", annotations, json!({})).to_string();
        eventually(what, Duration::from_secs(30), || {
            match namespace.create_with(&["--dry-run=server"], &pod) {
                Ok(output) | Err(output) if is_so(&output) => Ok(()),
                Ok(output) | Err(output) => Err(output),
            }
        })
    }
}

impl Drop for Guarded<'_> {
    fn drop(&mut self) {
        let kubectl = self.cluster.kubectl();
        for object in [BINDING, POLICY] {
            let _ = kubectl.run(&["delete", object, "--ignore-not-found"]);
        }
        let gone = self.probe("no guard any more", |output| !output.contains(POLICY_NAME));
        if let Err(error) = gone {
            eprintln!("{error}");
        }
        if let Err(error) = crate::shared::register(self.cluster) {
            eprintln!("the webhook is not registered again: {error}");
        }
    }
}

const POLICY_NAME: &str = "ValidatingAdmissionPolicy 'gitvolume-guard'";
const AUDIT: &str = "--set=guard.actions={Audit}";

fn pod(name: &str, annotations: Value, spec: Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"containers": [{"name": "app", "image": "app"}]},
    });
    if let (Some(own), Some(more)) = (pod["spec"].as_object_mut(), spec.as_object()) {
        own.extend(more.clone());
    }
    pod
}

fn asking(name: &str) -> Value {
    pod(name, json!({"gitvolume.dev/repo": REPO}), json!({}))
}

fn ours(name: &str) -> Value {
    let mut own = json!({"name": name, "image": "syncer", "command": [PROGRAM]});
    if name == "gitvolume" {
        own["restartPolicy"] = json!("Always");
    }
    own
}

/// Dry-runs many Pods in one call; returns the output for each name. Pods that the API server
/// cannot parse are missing.
fn ask(kubectl: &Kubectl, pods: &[Value]) -> Result<BTreeMap<String, String>, String> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": pods});
    let flags = ["--dry-run=server", "--validate=false"];
    let (Ok(output) | Err(output)) = kubectl.create_with(&flags, &list.to_string());
    let mut answers = BTreeMap::new();
    for pod in pods {
        let name = name(pod);
        let starts = [
            format!("pod/{name} created"),
            format!("pods \"{name}\" is forbidden"),
            format!("Pod \"{name}\" is invalid"),
        ];
        let is_about_it = |line: &&str| starts.iter().any(|start| line.contains(start));
        if let Some(line) = output.lines().find(is_about_it) {
            answers.insert(name.to_owned(), line.to_owned());
        }
    }
    Ok(answers)
}

fn name(pod: &Value) -> &str {
    pod["metadata"]["name"].as_str().unwrap_or_default()
}

/// A case: name, annotations, Pod, and the expected parts of the refusal; empty if the Pod is
/// admitted.
type Row = (&'static str, Value, Value, &'static [&'static str]);

fn rows() -> Vec<Row> {
    let repo = || json!({"gitvolume.dev/repo": REPO});
    let with = |key: &str, value: &str| json!({"gitvolume.dev/repo": REPO, key: value});
    let volume = || json!([{"name": "html", "gitRepo": {"repository": REPO}}]);
    let empty = || json!([{"name": "html", "emptyDir": {}}]);
    let copied = |rest: &str| {
        let status = format!("{{\"config\":\"c\",{rest}\"version\":\"0.1.0\"}}");
        with("gitvolume.dev/status", &status)
    };
    let listed = |names: &str| with("gitvolume.dev/injected", names);
    let required = |terms: Value| {
        json!({"affinity": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms},
        }}})
    };
    let os = |operator: &str, os: &str| {
        json!({"matchExpressions": [
            {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
            {"key": "kubernetes.io/os", "operator": operator, "values": [os]},
        ]})
    };
    let lost = || json!({"name": "gitvolume", "image": "syncer", "command": [PROGRAM]});
    let foreign = || json!({"name": "gitvolume", "image": "other", "restartPolicy": "Always"});
    let many = |others: usize, key: &str| {
        let others = (0..others).map(|number| (format!("example.com/{number}"), json!("")));
        let repo = (key.to_owned(), json!(REPO));
        Value::Object(others.chain([repo]).collect())
    };
    const MISSED: &[&str] = &["requests a repository but the gitvolume sidecar is missing"];
    const FOLLOWS: &[&str] = &["no init container gitvolume that runs /gitvolume-syncer"];
    const ONCE: &[&str] = &["no init container gitvolume-once that runs /gitvolume-syncer"];
    const GIT_REPO: &[&str] = &["no init container gitvolume-gitrepo that runs"];
    const VOLUME: &[&str] = &[
        "the gitRepo volume html",
        "it was not converted",
        "gitrepo: \"off\"",
    ];
    vec![
        ("asks-for-nothing", json!({}), json!({}), &[]),
        ("no-annotations", Value::Null, json!({}), &[]),
        (
            "other-annotations",
            json!({"example.com/repo": REPO, "gitvolume.dev": "x"}),
            json!({}),
            &[],
        ),
        (
            "a-pod-wide-key-alone",
            json!({"gitvolume.dev/containers": "app"}),
            json!({}),
            &[],
        ),
        ("bare", repo(), json!({}), MISSED),
        (
            "bare-by-name",
            json!({"gitvolume.dev/docs.repo": REPO}),
            json!({}),
            MISSED,
        ),
        (
            "bare-by-use",
            json!({"gitvolume.dev/use": "site"}),
            json!({}),
            MISSED,
        ),
        (
            "containers-that-no-list-names",
            repo(),
            json!({"initContainers": [ours("gitvolume")]}),
            MISSED,
        ),
        (
            "injected",
            listed("gitvolume"),
            json!({"initContainers": [{"name": "setup", "image": "x"}, ours("gitvolume")]}),
            &[],
        ),
        // Independent of the mode in the annotations: a GitVolume may set another.
        (
            "injected-once",
            listed("gitvolume-once"),
            json!({"initContainers": [ours("gitvolume-once")]}),
            &[],
        ),
        (
            "injected-by-objects-alone",
            json!({"gitvolume.dev/injected": "gitvolume"}),
            json!({"initContainers": [ours("gitvolume")]}),
            &[],
        ),
        (
            "robbed-and-by-objects-alone",
            json!({"gitvolume.dev/injected": "gitvolume"}),
            json!({}),
            FOLLOWS,
        ),
        (
            "other-init-containers",
            listed("gitvolume"),
            json!({"initContainers": [{"name": "setup", "image": "setup"}]}),
            FOLLOWS,
        ),
        (
            "injected-all",
            listed("gitvolume,gitvolume-gitrepo,gitvolume-once"),
            json!({"initContainers": [
                ours("gitvolume-gitrepo"), ours("gitvolume-once"), ours("gitvolume"),
            ]}),
            &[],
        ),
        (
            "both-lack-one",
            listed("gitvolume,gitvolume-once"),
            json!({"initContainers": [ours("gitvolume")]}),
            ONCE,
        ),
        (
            "both-lack-the-other",
            listed("gitvolume,gitvolume-once"),
            json!({"initContainers": [ours("gitvolume-once")]}),
            FOLLOWS,
        ),
        (
            "lost-its-restart-policy",
            listed("gitvolume"),
            json!({"initContainers": [lost()]}),
            &[
                "would never start",
                "restartPolicy: Always",
                "another webhook",
            ],
        ),
        (
            "our-name-and-another-program",
            listed("gitvolume"),
            json!({"initContainers": [foreign()]}),
            FOLLOWS,
        ),
        (
            "our-program-as-an-app-container",
            listed("gitvolume"),
            json!({"containers": [{"name": "gitvolume", "image": "syncer", "command": [PROGRAM]}]}),
            FOLLOWS,
        ),
        ("git-repo", json!({}), json!({"volumes": volume()}), VOLUME),
        (
            "git-repo-beside-what-is-injected",
            listed("gitvolume"),
            json!({"volumes": volume(), "initContainers": [ours("gitvolume")]}),
            VOLUME,
        ),
        (
            "git-repo-off",
            json!({"gitvolume.dev/gitrepo": "off"}),
            json!({"volumes": volume()}),
            &[],
        ),
        (
            "git-repo-off-is-no-excuse-for-the-annotations",
            with("gitvolume.dev/gitrepo", "off"),
            json!({"volumes": volume()}),
            MISSED,
        ),
        (
            "converted",
            json!({"gitvolume.dev/injected": "gitvolume-gitrepo"}),
            json!({"volumes": empty(), "initContainers": [ours("gitvolume-gitrepo")]}),
            &[],
        ),
        (
            "converted-and-robbed",
            json!({"gitvolume.dev/injected": "gitvolume-gitrepo"}),
            json!({"volumes": empty()}),
            GIT_REPO,
        ),
        (
            "opted-out",
            with("gitvolume.dev/inject", "false"),
            json!({}),
            &[],
        ),
        (
            "opted-out-git-repo",
            json!({"gitvolume.dev/inject": "false"}),
            json!({"volumes": volume()}),
            &[],
        ),
        (
            "not-opted-out",
            with("gitvolume.dev/inject", "true"),
            json!({}),
            MISSED,
        ),
        ("windows", repo(), json!({"os": {"name": "windows"}}), &[]),
        (
            "windows-by-node-selector",
            repo(),
            json!({"nodeSelector": {"kubernetes.io/os": "windows"}}),
            &[],
        ),
        (
            "windows-by-the-old-label",
            repo(),
            json!({"nodeSelector": {"beta.kubernetes.io/os": "windows"}}),
            &[],
        ),
        (
            "windows-by-its-options",
            repo(),
            json!({"securityContext": {"windowsOptions": {"runAsUserName": "app"}}}),
            &[],
        ),
        (
            "windows-by-a-containers-options",
            repo(),
            json!({"containers": [{"name": "app", "image": "app", "securityContext": {
                "windowsOptions": {"runAsUserName": "app"},
            }}]}),
            &[],
        ),
        (
            "windows-by-affinity",
            repo(),
            required(json!([os("In", "windows"), os("NotIn", "linux")])),
            &[],
        ),
        (
            "windows-or-linux-by-affinity",
            repo(),
            required(json!([os("In", "windows"), os("In", "linux")])),
            MISSED,
        ),
        (
            "not-windows-by-affinity",
            repo(),
            required(json!([os("NotIn", "windows")])),
            MISSED,
        ),
        (
            "linux",
            repo(),
            json!({"os": {"name": "linux"}, "nodeSelector": {"kubernetes.io/os": "linux"}}),
            MISSED,
        ),
        // A copied annotation proves nothing.
        (
            "a-copied-status-of-a-skip",
            copied("\"skipped\":\"windows\","),
            json!({}),
            MISSED,
        ),
        (
            "a-copied-status-of-a-refusal",
            copied("\"refused\":\"gitvolume.dev/mode: …\","),
            json!({}),
            MISSED,
        ),
        ("a-copied-list-of-none", listed("-"), json!({}), MISSED),
        ("a-list-of-others", listed("setup,nginx"), json!({}), MISSED),
        (
            "an-endless-list",
            listed(&"gitvolume,".repeat(99)),
            json!({}),
            MISSED,
        ),
        (
            "as-many-annotations-as-it-looks-at",
            many(255, "gitvolume.dev/docs.repo"),
            json!({}),
            MISSED,
        ),
        (
            "more-annotations-than-it-looks-at",
            many(256, "gitvolume.dev/docs.repo"),
            json!({}),
            &[],
        ),
        (
            "more-annotations-than-it-looks-at-are-looked-up",
            many(999, "gitvolume.dev/repo"),
            json!({}),
            MISSED,
        ),
    ]
}

/// Checks that the refusal of a missing container contains reason and remedy.
fn check_reason_and_remedy(output: &str) -> Result<(), String> {
    for part in [
        "the webhook was not reached (failurePolicy Ignore)",
        "kubectl -n gitvolume-system rollout status deployment/gitvolume",
        "create the Pod again, or set gitvolume.dev/",
    ] {
        if !output.contains(part) {
            return Err(format!("no {part:?} in {output}"));
        }
    }
    Ok(())
}

pub(crate) fn each_row_of_the_truth_table_is_as_documented(world: &World) -> TestResult {
    let _guarded = Guarded::with(world.cluster(), &[])?;
    let namespace = world.namespace(&[])?;
    let rows = rows();
    let pods: Vec<Value> = rows
        .iter()
        .map(|(name, annotations, spec, _)| pod(name, annotations.clone(), spec.clone()))
        .collect();
    let answers = ask(&namespace, &pods)?;
    let mut wrong = String::new();
    for (name, _, _, parts) in &rows {
        let output = answers.get(*name).map_or("", String::as_str);
        let is_admitted = output.contains("created");
        let has_all = parts.iter().all(|part| output.contains(part));
        if is_admitted != parts.is_empty() || !has_all {
            let _ = writeln!(wrong, "{name}: expected {parts:?}: {output}");
        }
        if !is_admitted {
            // The message names the Pod and is a single line in kubectl.
            assert!(
                output.contains(&format!("denied request: Pod {name} ")),
                "{output}"
            );
        }
        if !is_admitted && !output.contains("would never start") {
            check_reason_and_remedy(output)?;
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    Ok(())
}

pub(crate) fn a_pod_of_an_excluded_namespace_is_ignored(world: &World) -> TestResult {
    let namespace = world.namespace(&[])?;
    let excluded = format!(
        "--set=guard.excludedNamespaces={{kube-system,{}}}",
        namespace.name()
    );
    let _guarded = Guarded::with(world.cluster(), &[&excluded])?;
    let kube_system = world.kubectl().in_namespace("kube-system");
    let _ = kube_system.run(&["create", "serviceaccount", "default"]);
    for namespace in [&kube_system, &**namespace] {
        let output = namespace.create_with(&["--dry-run=server"], &asking("web").to_string())?;
        assert!(output.contains("pod/web created"), "{output}");
    }
    Ok(())
}

/// The purpose of the guard: a failurePolicy that admits Pods while the webhook is unreachable.
pub(crate) fn the_guard_refuses_what_failure_policy_ignore_admits(world: &World) -> TestResult {
    let _guarded = Guarded::with(world.cluster(), &[])?;
    register_unreachable_webhook(world.cluster())?;
    let namespace = world.namespace(&[])?;
    // With a generated name, as a controller creates it, and without a dry run.
    let mut web = asking("web");
    web["metadata"] =
        json!({"generateName": "web-", "annotations": web["metadata"]["annotations"]});
    let refusal = match namespace.create(&web.to_string()) {
        Err(refusal) => refusal,
        Ok(output) => return Err(format!("admitted: {output}").into()),
    };
    assert!(refusal.contains("denied request: Pod web-"), "{refusal}");
    assert_eq!(refusal.trim().lines().count(), 1, "{refusal}");
    check_reason_and_remedy(&refusal)?;

    let output = namespace.create(&pod("plain", json!({}), json!({})).to_string())?;
    assert_eq!(output.trim(), "pod/plain created");
    Ok(())
}

/// Webhooks written before Kubernetes 1.29 decode a Pod, drop the field that they do not know, and
/// return the difference as a patch (KEP-753; kubernetes-sigs/windows-testing#576).
pub(crate) fn a_sidecar_that_a_later_webhook_has_damaged_is_refused(world: &World) -> TestResult {
    let _guarded = Guarded::with(world.cluster(), &[])?;
    let namespace = world.namespace(&[])?;
    let _toy = Toy::start(world, &namespace, &AFTER_US, |pod| {
        let all = pod["spec"]["initContainers"]
            .as_array()
            .into_iter()
            .flatten();
        let spoilt = all
            .enumerate()
            .filter(|(_, own)| own["restartPolicy"] == "Always");
        // Removes the probe too: with it the API server would refuse the Pod itself, with a shorter
        // message.
        let remove = spoilt.flat_map(|(index, _)| {
            ["restartPolicy", "startupProbe"].map(|field| {
                let path = format!("/spec/initContainers/{index}/{field}");
                json!({"op": "remove", "path": path})
            })
        });
        remove.collect()
    })?;
    crate::shared::register(world.cluster())?;
    // With reinvocation the webhook itself detects the damage.
    let refusal = refusal(&namespace, &asking("web"))?;
    assert!(
        refusal.contains("\"pods.gitvolume.dev\" denied"),
        "{refusal}"
    );

    let once = r#"[{"op": "replace", "path": "/webhooks/0/reinvocationPolicy", "value": "Never"}]"#;
    world
        .kubectl()
        .run(&["patch", WEBHOOK, "--type=json", "-p", once])?;
    eventually(
        "being asked once",
        Duration::from_secs(30),
        || match self::refusal(&namespace, &asking("web"))? {
            output if output.contains(POLICY_NAME) => Ok(output),
            output => Err(output),
        },
    )
    .map(|output| assert!(output.contains("removed restartPolicy: Always"), "{output}"))?;
    Ok(())
}

fn refusal(kubectl: &Kubectl, pod: &Value) -> Result<String, String> {
    match kubectl.create_with(&["--dry-run=server"], &pod.to_string()) {
        Err(refusal) => Ok(refusal),
        Ok(output) => Err(format!("admitted: {output}")),
    }
}

/// Installs the chart's registration with an address where nothing listens.
fn register_unreachable_webhook(cluster: &Cluster) -> Result<(), String> {
    let kubectl = cluster.kubectl();
    let rendered = product::render(
        cluster,
        &[
            "--show-only=templates/mutatingwebhookconfiguration.yaml",
            "--set=webhook.failurePolicy=Ignore",
        ],
    );
    let rendered = rendered.map_err(|error| error.to_string())?;
    let output = kubectl.apply_with(&["--dry-run=client", "-o=json"], &rendered)?;
    let mut configuration: Value = serde_json::from_str(&output).map_err(|e| e.to_string())?;
    for webhook in configuration["webhooks"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        // Nothing listens on port 1: the connection is refused immediately.
        webhook["clientConfig"] = json!({"url": "https://127.0.0.1:1/mutate"});
    }
    kubectl.apply(&configuration.to_string()).map(drop)
}

pub(crate) fn with_actions_warn_and_audit_the_guard_admits_and_warns(world: &World) -> TestResult {
    let _guarded = Guarded::with(world.cluster(), &["--set=guard.actions={Warn,Audit}"])?;
    let namespace = world.namespace(&[])?;
    let output = namespace.apply(&asking("web").to_string())?;
    assert!(output.contains("pod/web created"), "{output}");
    let warning = output.lines().find(|line| line.starts_with("Warning: "));
    let warning = warning.ok_or_else(|| format!("no warning in {output}"))?;
    assert!(
        warning.contains("Pod web requests a repository"),
        "{warning}"
    );
    check_reason_and_remedy(warning)?;
    is_in_the_audit_log(world, namespace.name())
}

pub(crate) fn with_action_audit_the_guard_only_writes_to_the_audit_log(
    world: &World,
) -> TestResult {
    let _guarded = Guarded::with(world.cluster(), &[AUDIT])?;
    let namespace = world.namespace(&[])?;
    eventually(
        "the failure in the audit log",
        Duration::from_secs(30),
        || {
            let output =
                namespace.create_with(&["--dry-run=server"], &asking("web").to_string())?;
            if output.trim() != "pod/web created (server dry run)" {
                return Ok(Err(format!("it says more: {output}")));
            }
            is_in_the_audit_log(world, namespace.name())
                .map(Ok)
                .map_err(|e| format!("{e:?}"))
        },
    )??;
    Ok(())
}

fn is_in_the_audit_log(world: &World, namespace: &str) -> TestResult {
    let plane = world
        .cluster()
        .control_plane()
        .ok_or("the audit log is our own API server's")?;
    let log = plane.audit_log();
    let line = log
        .lines()
        .find(|line| line.contains(namespace) && line.contains("validation_failure"))
        .ok_or("no failure in the audit log")?;
    assert!(line.contains("requests a repository"), "{line}");
    Ok(())
}

/// The goldens' files of this name, with the golden's name as the Pod's; either those with the
/// setting `gitRepo: false` or the others.
fn goldens(kind: &str, file: &str, converts: bool) -> Result<Vec<Value>, String> {
    let folder = settings::root().join("webhook/inject/testdata").join(kind);
    let mut pods = Vec::new();
    for case in fs::read_dir(&folder).map_err(|error| error.to_string())? {
        let case = case.map_err(|error| error.to_string())?.path();
        let settings = fs::read_to_string(case.join("settings.yaml")).unwrap_or_default();
        if settings.contains("gitRepo: false") == converts {
            continue;
        }
        let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", case.display());
        let text = fs::read_to_string(case.join(file)).map_err(|error| wrong(&error))?;
        let mut pod: Value = serde_saphyr::from_str(&text).map_err(|error| wrong(&error))?;
        let annotations = pod["metadata"]["annotations"].take();
        let name = case.file_name().unwrap_or_default().to_string_lossy();
        pod["metadata"] = json!({"name": name, "annotations": annotations});
        // The objects that these fields name do not exist, and the API server checks that.
        let spec = pod["spec"].as_object_mut().ok_or("a Pod without a spec")?;
        spec.retain(|key, _| {
            !["serviceAccountName", "runtimeClassName", "overhead"].contains(&key.as_str())
        });
        pods.push(pod);
    }
    assert!(!pods.is_empty(), "{}", folder.display());
    Ok(pods)
}

/// A golden's settings, with `onMistake: warn`.
fn settings_of(kind: &str, name: &str) -> Result<Settings, String> {
    let folder = settings::root().join("webhook/inject/testdata").join(kind);
    let mut all = json!({"image": "syncer:1", "onMistake": "warn"});
    goldens::add_settings(&folder.join(name), &mut all)?;
    let mut settings: Settings = serde_json::from_value(all).map_err(|error| error.to_string())?;
    if !settings.excluded_namespaces.is_empty() {
        // Here the Pod is in another namespace.
        settings.excluded_namespaces = vec!["*".to_owned()];
    }
    Ok(settings)
}

fn refused_by_the_guard(answers: &BTreeMap<String, String>) -> Vec<&String> {
    let all = answers.values();
    all.filter(|output| output.contains(POLICY_NAME)).collect()
}

fn admitted<'a>(pods: &'a [Value], answers: &BTreeMap<String, String>) -> Vec<&'a Value> {
    let is_created = |pod: &&Value| {
        let output = answers.get(name(pod));
        output.is_some_and(|output| output.contains("created"))
    };
    let admitted: Vec<&Value> = pods.iter().filter(is_created).collect();
    // If the API server refused most of them for other reasons, the test would prove nothing.
    assert!(admitted.len() * 10 >= pods.len() * 9, "{answers:#?}");
    admitted
}

/// The guard accepts exactly what the inject crate writes; removing any part of it is detected.
pub(crate) fn every_injected_pod_passes_and_removing_any_part_is_detected(
    world: &World,
) -> TestResult {
    let _guarded = Guarded::with(world.cluster(), &[])?;
    let namespace = world.namespace(&[])?;
    let pods = goldens("inject", "patched.yaml", true)?;
    let answers = ask(&namespace, &pods)?;
    assert_eq!(refused_by_the_guard(&answers), Vec::<&String>::new());

    let mut robbed = Vec::new();
    for pod in admitted(&pods, &answers) {
        let all = pod["spec"]["initContainers"]
            .as_array()
            .into_iter()
            .flatten();
        for (index, own) in all.enumerate() {
            if own["command"] != json!([PROGRAM]) {
                continue;
            }
            let mut rob = |how: fn(&mut Vec<Value>, usize)| {
                let mut pod = pod.clone();
                pod["metadata"]["name"] = json!(format!("robbed-{}", robbed.len()));
                if let Some(list) = pod["spec"]["initContainers"].as_array_mut() {
                    how(list, index);
                }
                robbed.push(pod);
            };
            rob(|list, index| drop(list.remove(index)));
            if own["restartPolicy"] == "Always" {
                // A container without restart policy must not have a startup probe either.
                rob(|list, index| {
                    let fields = list[index].as_object_mut();
                    fields.into_iter().for_each(|fields| {
                        fields
                            .retain(|key, _| !["restartPolicy", "startupProbe"].contains(&&**key));
                    });
                });
            }
        }
    }
    let answers = ask(&namespace, &robbed)?;
    assert_eq!(answers.len(), robbed.len());
    let passed: Vec<_> = answers
        .iter()
        .filter(|(_, output)| !output.contains(POLICY_NAME))
        .collect();
    assert!(passed.is_empty(), "{passed:#?}");
    Ok(())
}

/// The guard ignores Pods with a mistake under `onMistake: warn`, and Pods that cannot run a
/// syncer.
pub(crate) fn pods_that_the_webhook_skipped_with_a_reason_pass(world: &World) -> TestResult {
    let namespace = world.namespace(&[])?;
    for (kind, values) in [
        ("deny", &["--set=webhook.onMistake=warn"][..]),
        ("skip", &[]),
    ] {
        let _guarded = Guarded::with(world.cluster(), values)?;
        let mut pods = Vec::new();
        for mut pod in goldens(kind, "pod.yaml", true)? {
            let review = Review::of_pod(pod.clone());
            let settings = settings_of(kind, name(&pod))?;
            let answer = answer(&review, &settings, &inject::Namespace::default())?;
            assert!(answer.allowed, "{pod}");
            // The settings of this guard exclude no namespace.
            if answer.outcome != Outcome::Skip(SkipReason::ExcludedNamespace) {
                annotate(&mut pod, &serde_json::to_value(answer.patch)?)?;
                pods.push(pod);
            }
        }
        let answers = ask(&namespace, &pods)?;
        assert_eq!(
            refused_by_the_guard(&answers),
            Vec::<&String>::new(),
            "{kind}"
        );
        assert!(
            answers.values().any(|output| output.contains("created")),
            "{kind}"
        );
    }
    let excluded = format!(
        "--set=settings.excludedNamespaces={{other,{}*}}",
        namespace.name()
    );
    let _guarded = Guarded::with(world.cluster(), &[&excluded])?;
    let noted = json!({"gitvolume.dev/repo": REPO, "gitvolume.dev/injected": "-"});
    let answers = ask(&namespace, &[pod("excluded", noted, json!({}))])?;
    assert_eq!(refused_by_the_guard(&answers), Vec::<&String>::new());
    Ok(())
}

/// Applies only the annotations of a patch.
fn annotate(pod: &mut Value, patch: &Value) -> Result<(), String> {
    for operation in patch.as_array().into_iter().flatten() {
        let path = operation["path"].as_str().unwrap_or_default();
        let rest = path.strip_prefix("/metadata/annotations");
        let rest = rest.ok_or_else(|| format!("more than annotations: {operation}"))?;
        let annotations = &mut pod["metadata"]["annotations"];
        match rest.strip_prefix('/') {
            Some(key) => annotations[key.replace("~1", "/")] = operation["value"].clone(),
            None => *annotations = operation["value"].clone(),
        }
    }
    Ok(())
}

pub(crate) fn git_repo_volumes_that_the_operator_leaves_to_the_kubelet_pass(
    world: &World,
) -> TestResult {
    let _guarded = Guarded::with(world.cluster(), &["--set=settings.gitRepo=false"])?;
    let namespace = world.namespace(&[])?;
    let volumes = json!({"volumes": [{"name": "html", "gitRepo": {"repository": REPO}}]});
    let repo = json!({"gitvolume.dev/repo": REPO});
    let mut pods = goldens("inject", "patched.yaml", false)?;
    pods.push(pod("plain", json!({}), volumes.clone()));
    let answers = ask(&namespace, &pods)?;
    assert_eq!(admitted(&pods, &answers).len(), pods.len(), "{answers:#?}");
    let answers = ask(&namespace, &[pod("asking", repo, volumes)])?;
    assert_eq!(refused_by_the_guard(&answers).len(), 1, "{answers:#?}");
    Ok(())
}
