//! Warnings for workloads: applying a Deployment reports the mistakes for which its Pods would be
//! refused.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use inject::OnMistake;
use inject::Review;
use inject::Settings;
use inject::answer;
use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::installation::product;
use tests::installation::serving::Serving;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::cluster::Cluster;
use tests::kubernetes::namespace::Namespace;
use tests::settings;

const REPO: &str = "https://git.example/site.git";
const MISTAKE: &str = "gitvolume.dev/mode: \"always\": expected sync or once";

/// The webhook of these tests, shared by both API servers.
static SERVING: Mutex<Option<Arc<Serving>>> = Mutex::new(None);

fn serving(cluster: &Cluster) -> Result<Arc<Serving>> {
    let mut own = SERVING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(serving) = &*own {
        return Ok(Arc::clone(serving));
    }
    let folder = cluster.folder().join("templates");
    fs::create_dir_all(&folder)?;
    let started = Arc::new(Serving::start(&folder)?);
    *own = Some(Arc::clone(&started));
    Ok(started)
}

/// A namespace in which the chart's registration for templates is in force.
struct WarnedNamespace<'a> {
    world: &'a World,
    namespace: Arc<Namespace>,
}

impl<'a> WarnedNamespace<'a> {
    fn in_a_namespace(world: &'a World) -> Result<Self, String> {
        let serving = serving(world.cluster()).map_err(|error| format!("{error:#}"))?;
        let warned = Self {
            world,
            namespace: world.namespace(&[])?,
        };
        warned.register(serving.address(), serving.ca())?;
        eventually(
            "the registration in force",
            Duration::from_secs(30),
            || match warned.dry_run(&deployment(
                "probe",
                &json!({"gitvolume.dev/mode": "always"}),
            ))? {
                output if output.contains(MISTAKE) => Ok(()),
                output => Err(output),
            },
        )?;
        Ok(warned)
    }

    /// As in the chart, except for the URL, and only for this namespace.
    fn register(&self, address: &str, ca: &std::path::Path) -> Result<(), String> {
        let only = ["--show-only=templates/mutatingwebhookconfiguration.yaml"];
        let rendered = product::render(self.world.cluster(), &only);
        let rendered = rendered.map_err(|error| error.to_string())?;
        let kubectl = self.world.kubectl();
        let output = kubectl.apply_with(&["--dry-run=client", "-o=json"], &rendered)?;
        let mut configuration: Value = serde_json::from_str(&output).map_err(|e| e.to_string())?;
        let webhooks = configuration["webhooks"].as_array_mut();
        let webhooks = webhooks.ok_or("no webhooks")?;
        webhooks.retain(|webhook| webhook["name"] == "templates.gitvolume.dev");
        let webhook = webhooks.first_mut().ok_or("no webhook for templates")?;
        let ca = fs::read(ca).map_err(|error| error.to_string())?;
        webhook["clientConfig"] = json!({
            "url": format!("https://{address}/mutate"), "caBundle": STANDARD.encode(ca),
        });
        webhook["namespaceSelector"] = json!({"matchLabels": {
            "kubernetes.io/metadata.name": self.namespace.name(),
        }});
        configuration["metadata"] = json!({"name": self.namespace.name()});
        kubectl.apply(&configuration.to_string()).map(drop)
    }

    /// kubectl's output for applying this object.
    fn dry_run(&self, object: &Value) -> Result<String, String> {
        let flags = ["--dry-run=server", "--validate=false"];
        self.namespace.apply_with(&flags, &object.to_string())
    }
}

impl Drop for WarnedNamespace<'_> {
    fn drop(&mut self) {
        let name = self.namespace.name();
        let kind = "mutatingwebhookconfiguration";
        let _ = self.world.kubectl().run(&["delete", kind, name]);
    }
}

fn template(annotations: &Value) -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}, "annotations": annotations},
        "spec": {"containers": [{"name": "web", "image": "nginx"}]},
    })
}

fn deployment(name: &str, annotations: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(annotations),
        },
    })
}

/// One object of each kind that creates Pods, with these annotations in its Pod template.
fn each_kind(annotations: &Value) -> Vec<Value> {
    let with_selector = |kind: &str| {
        let mut object = deployment("web", annotations);
        object["kind"] = json!(kind);
        object
    };
    let mut job = template(annotations);
    job["spec"]["restartPolicy"] = json!("Never");
    let mut stateful_set = with_selector("StatefulSet");
    stateful_set["spec"]["serviceName"] = json!("web");
    let object = |api_version: &str, kind: &str, spec: Value| {
        let metadata = json!({"name": "web"});
        json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec})
    };
    vec![
        with_selector("DaemonSet"),
        with_selector("Deployment"),
        with_selector("ReplicaSet"),
        stateful_set,
        object("batch/v1", "Job", json!({"template": job})),
        object(
            "batch/v1",
            "CronJob",
            json!({"schedule": "0 * * * *", "jobTemplate": {"spec": {"template": job}}}),
        ),
        object(
            "v1",
            "ReplicationController",
            json!({"selector": {"app": "web"}, "template": template(annotations)}),
        ),
        json!({
            "apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "web"},
            "template": template(annotations),
        }),
    ]
}

fn warnings(output: &str) -> BTreeSet<&str> {
    output
        .lines()
        .filter_map(|line| line.strip_prefix("Warning: "))
        .collect()
}

pub(crate) fn each_kind_warns_about_its_template_and_about_misplaced_annotations(
    world: &World,
) -> TestResult {
    let warned = WarnedNamespace::in_a_namespace(world)?;
    let wrong = json!({"gitvolume.dev/repo": REPO, "gitvolume.dev/mode": "always"});
    for object in each_kind(&wrong) {
        let output = warned.dry_run(&object)?;
        assert_eq!(warnings(&output), BTreeSet::from([MISTAKE]), "{output}");
        assert!(output.contains("created (server dry run)"), "{output}");
    }
    for mut object in each_kind(&json!({})) {
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        let there = match kind.as_str() {
            "CronJob" => "spec.jobTemplate.spec.template.metadata",
            "PodTemplate" => "template.metadata",
            _ => "spec.template.metadata",
        };
        assert_eq!(
            warnings(&warned.dry_run(&object)?),
            BTreeSet::new(),
            "{kind}"
        );
        object["metadata"]["annotations"] =
            json!({"gitvolume.dev/repo": REPO, "gitvolume.dev/ref": "main"});
        let own =
            format!("gitvolume.dev/ref and 1 more: no effect on a {kind}; expected in {there}");
        let output = warned.dry_run(&object)?;
        assert_eq!(
            warnings(&output),
            BTreeSet::from([own.as_str()]),
            "{output}"
        );
    }
    let mut cron = each_kind(&json!({})).remove(5);
    cron["spec"]["jobTemplate"]["metadata"] = json!({"annotations": {"gitvolume.dev/repo": REPO}});
    let output = warned.dry_run(&cron)?;
    let own = "gitvolume.dev/repo: no effect on a CronJob's Job; expected in \
               spec.jobTemplate.spec.template.metadata";
    assert_eq!(warnings(&output), BTreeSet::from([own]), "{output}");
    Ok(())
}

/// A custom resource: the API server neither fills in defaults nor validates it.
pub(crate) fn an_argo_rollout_gets_the_same_warnings_as_a_deployment(world: &World) -> TestResult {
    let rollouts = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "rollouts.argoproj.io"},
        "spec": {
            "group": "argoproj.io", "scope": "Namespaced",
            "names": {"plural": "rollouts", "singular": "rollout", "kind": "Rollout"},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                }},
            }],
        },
    });
    world.kubectl().apply(&rollouts.to_string())?;
    let minute = Duration::from_secs(60);
    world
        .kubectl()
        .wait_for("crd/rollouts.argoproj.io", "condition=Established", minute)?;
    let warned = WarnedNamespace::in_a_namespace(world)?;
    let mut rollout = deployment("web", &json!({"gitvolume.dev/mode": "always"}));
    rollout["apiVersion"] = json!("argoproj.io/v1alpha1");
    rollout["kind"] = json!("Rollout");
    let output = eventually("the new kind", minute, || {
        match warned.dry_run(&rollout)? {
            output if warnings(&output).is_empty() => Err(output),
            output => Ok(output),
        }
    })?;
    assert!(warnings(&output).contains(MISTAKE), "{output}");
    // The webhook ignores what it cannot parse as a template.
    rollout["spec"]["template"]["spec"]["containers"] = json!("none");
    let output = warned.dry_run(&rollout)?;
    assert_eq!(warnings(&output), BTreeSet::new(), "{output}");
    assert!(
        output.contains("rollout.argoproj.io/web created"),
        "{output}"
    );
    Ok(())
}

/// Every mistake for which a Pod is refused, in the same words; and no warning about a correct
/// template.
pub(crate) fn a_template_gets_the_error_sentences_of_its_pods_as_warnings(
    world: &World,
) -> TestResult {
    let warned = WarnedNamespace::in_a_namespace(world)?;
    let mut warning = Settings::new(tests::oci::images::SYNCER);
    warning.on_mistake = OnMistake::Warn;
    for kind in ["deny", "inject"] {
        let folder = settings::root().join("webhook/inject/testdata").join(kind);
        let (mut objects, mut expected) = (Vec::new(), BTreeSet::new());
        for case in fs::read_dir(folder)? {
            let case = case?.path();
            let text = fs::read_to_string(case.join("pod.yaml"))?;
            let mut pod: Value = serde_saphyr::from_str(&text)?;
            let annotations = pod["metadata"]["annotations"].as_object();
            if annotations.is_some_and(|all| all.values().any(|value| !value.is_string())) {
                // The API server rejects these before it calls webhooks.
                continue;
            }
            // A Deployment accepts no other value.
            pod["spec"]["restartPolicy"] = json!("Always");
            let name = case.file_name().unwrap_or_default().to_string_lossy();
            let mut object = deployment(&name, &pod["metadata"]["annotations"]);
            object["spec"]["template"]["spec"] = pod["spec"].take();
            let template = &object["spec"]["template"];
            let pod = json!({"metadata": template["metadata"], "spec": template["spec"]});
            let review = Review::of_pod(pod);
            expected.extend(answer(&review, &warning, &inject::Namespace::default())?.warnings);
            objects.push(object);
        }
        assert!(!expected.is_empty(), "{kind}");
        let output = warned.dry_run(&json!({"apiVersion": "v1", "kind": "List", "items": objects}));
        // The warnings come even if the API server refuses the object.
        let (Ok(output) | Err(output)) = output;
        // The API server's own warnings begin with the field.
        let is_ours = |text: &&str| !text.starts_with("spec.");
        let found: BTreeSet<&str> = warnings(&output).into_iter().filter(is_ours).collect();
        let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
        let missing: Vec<&&str> = expected.difference(&found).collect();
        let invented: Vec<&&str> = found.difference(&expected).collect();
        let both = (missing.is_empty(), invented.is_empty());
        assert_eq!(both, (true, true), "{kind}: {missing:#?} {invented:#?}");
    }
    Ok(())
}

pub(crate) fn warnings_are_repeated_only_when_the_template_changes(world: &World) -> TestResult {
    let warned = WarnedNamespace::in_a_namespace(world)?;
    let namespace = &warned.namespace;
    let wrong = json!({"gitvolume.dev/repo": REPO, "gitvolume.dev/mode": "always"});
    let object = deployment("web", &wrong).to_string();
    let sent = ["--server-side", "--field-manager=author"];
    let output = namespace.apply_with(&sent, &object)?;
    assert_eq!(warnings(&output), BTreeSet::from([MISTAKE]), "{output}");
    // The webhook changes nothing in it.
    let stored = namespace.get_json(&["deployment", "web"])?;
    assert_eq!(stored["spec"]["template"]["metadata"]["annotations"], wrong);
    assert!(
        stored["spec"]["template"]["spec"]
            .get("initContainers")
            .is_none(),
        "{stored}"
    );

    let mut more = deployment("web", &wrong);
    more["spec"]["replicas"] = json!(3);
    more["metadata"]["annotations"] = json!({"example.com/note": "x"});
    for object in [&object, &more.to_string()] {
        let output = namespace.apply_with(&sent, object)?;
        assert_eq!(warnings(&output), BTreeSet::new(), "{output}");
    }
    more["metadata"]["annotations"]["gitvolume.dev/ref"] = json!("main");
    let output = namespace.apply_with(&sent, &more.to_string())?;
    assert!(
        output.contains("gitvolume.dev/ref: no effect on a Deployment"),
        "{output}"
    );
    more["spec"]["template"]["spec"]["containers"][0]["image"] = json!("nginx:2");
    let output = namespace.apply_with(&sent, &more.to_string())?;
    assert!(warnings(&output).contains(MISTAKE), "{output}");
    Ok(())
}

pub(crate) fn objects_of_controllers_and_objects_without_annotations_are_not_sent(
    world: &World,
) -> TestResult {
    let warned = WarnedNamespace::in_a_namespace(world)?;
    let wrong = json!({"gitvolume.dev/repo": REPO, "gitvolume.dev/mode": "always"});
    let mut replica_set = deployment("controlled", &wrong);
    replica_set["kind"] = json!("ReplicaSet");
    replica_set["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "controller": true,
        "uid": "4b1c8e5e-0000-4000-8000-000000000000",
    }]);
    let plain = deployment("plain", &json!({"example.com/gitvolume.dev": "x"}));
    for object in [&replica_set, &plain] {
        let output = warned.dry_run(object)?;
        assert_eq!(warnings(&output), BTreeSet::new(), "{output}");
    }
    warned.dry_run(&deployment("asking", &wrong))?;
    let log = serving(world.cluster())?.log();
    let of = |name: &str| {
        let (namespace, name) = (warned.namespace.name(), format!("\"pod\":\"{name}\""));
        let mut lines = log.lines();
        lines.find(|line| line.contains(namespace) && line.contains(&name))
    };
    assert_eq!((of("controlled"), of("plain")), (None, None));
    let line = of("asking").ok_or("the log names what is sent")?;
    for part in [
        "\"decision\":\"warn\"",
        "\"reason\":\"template\"",
        "\"dry_run\":true",
    ] {
        assert!(line.contains(part), "{line}");
    }
    Ok(())
}

pub(crate) fn without_the_webhook_a_workload_is_still_applied(world: &World) -> TestResult {
    let warned = WarnedNamespace::in_a_namespace(world)?;
    // Nothing listens on port 1: the connection is refused immediately.
    warned.register("127.0.0.1:1", serving(world.cluster())?.ca())?;
    let wrong = json!({"gitvolume.dev/mode": "always"});
    eventually(
        "the new address in force",
        Duration::from_secs(30),
        || match warned.dry_run(&deployment("web", &wrong))? {
            output if output.trim() == "deployment.apps/web created (server dry run)" => Ok(()),
            output => Err(output),
        },
    )?;
    Ok(())
}
