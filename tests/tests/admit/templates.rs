//! Who applies a workload is told at once what its Pods would be refused for.

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
use tests::cluster::Cluster;
use tests::eventually::eventually;
use tests::namespace::Namespace;
use tests::product;
use tests::serving::Serving;
use tests::settings;
use tests::world::TestResult;
use tests::world::World;

const REPO: &str = "https://git.example/site.git";
const MISTAKE: &str = "gitvolume.dev/mode: \"always\": expected sync or once";

/// A webhook of these tests' own, whichever API server asks it.
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
struct Told<'a> {
    world: &'a World,
    namespace: Arc<Namespace>,
}

impl<'a> Told<'a> {
    fn in_a_namespace(world: &'a World) -> Result<Self, String> {
        let serving = serving(world.cluster()).map_err(|error| format!("{error:#}"))?;
        let told = Self {
            world,
            namespace: world.namespace(&[])?,
        };
        told.register(serving.address(), serving.ca())?;
        eventually(
            "the registration in force",
            Duration::from_secs(30),
            || match told.says(&deployment(
                "probe",
                &json!({"gitvolume.dev/mode": "always"}),
            ))? {
                said if said.contains(MISTAKE) => Ok(()),
                said => Err(said),
            },
        )?;
        Ok(told)
    }

    /// As the chart has it, but for the address, and for this namespace alone.
    fn register(&self, address: &str, ca: &std::path::Path) -> Result<(), String> {
        let only = ["--show-only=templates/mutatingwebhookconfiguration.yaml"];
        let rendered = product::render(self.world.cluster(), &only);
        let rendered = rendered.map_err(|error| error.to_string())?;
        let kubectl = self.world.kubectl();
        let said = kubectl.apply_with(&["--dry-run=client", "-o=json"], &rendered)?;
        let mut configuration: Value = serde_json::from_str(&said).map_err(|e| e.to_string())?;
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

    /// What kubectl shows of applying this.
    fn says(&self, object: &Value) -> Result<String, String> {
        let flags = ["--dry-run=server", "--validate=false"];
        self.namespace.apply_with(&flags, &object.to_string())
    }
}

impl Drop for Told<'_> {
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

/// One object of each kind that makes Pods, with these annotations where its Pods have them.
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

fn warnings(said: &str) -> BTreeSet<&str> {
    said.lines()
        .filter_map(|line| line.strip_prefix("Warning: "))
        .collect()
}

pub(crate) fn each_kind_tells_of_its_template_and_of_annotations_beside_it(
    world: &World,
) -> TestResult {
    let told = Told::in_a_namespace(world)?;
    let wrong = json!({"gitvolume.dev/repo": REPO, "gitvolume.dev/mode": "always"});
    for object in each_kind(&wrong) {
        let said = told.says(&object)?;
        assert_eq!(warnings(&said), BTreeSet::from([MISTAKE]), "{said}");
        assert!(said.contains("created (server dry run)"), "{said}");
    }
    for mut object in each_kind(&json!({})) {
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        let there = match kind.as_str() {
            "CronJob" => "spec.jobTemplate.spec.template.metadata",
            "PodTemplate" => "template.metadata",
            _ => "spec.template.metadata",
        };
        assert_eq!(warnings(&told.says(&object)?), BTreeSet::new(), "{kind}");
        object["metadata"]["annotations"] =
            json!({"gitvolume.dev/repo": REPO, "gitvolume.dev/ref": "main"});
        let own =
            format!("gitvolume.dev/ref and 1 more: no effect on a {kind}; expected in {there}");
        let said = told.says(&object)?;
        assert_eq!(warnings(&said), BTreeSet::from([own.as_str()]), "{said}");
    }
    let mut cron = each_kind(&json!({})).remove(5);
    cron["spec"]["jobTemplate"]["metadata"] = json!({"annotations": {"gitvolume.dev/repo": REPO}});
    let said = told.says(&cron)?;
    let own = "gitvolume.dev/repo: no effect on a CronJob's Job; expected in \
               spec.jobTemplate.spec.template.metadata";
    assert_eq!(warnings(&said), BTreeSet::from([own]), "{said}");
    Ok(())
}

/// Its kind is not the API server's own: nothing fills in defaults, and nothing checks it.
pub(crate) fn a_rollout_of_argos_is_told_like_a_deployment(world: &World) -> TestResult {
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
    let told = Told::in_a_namespace(world)?;
    let mut rollout = deployment("web", &json!({"gitvolume.dev/mode": "always"}));
    rollout["apiVersion"] = json!("argoproj.io/v1alpha1");
    rollout["kind"] = json!("Rollout");
    let said = eventually("the new kind", minute, || match told.says(&rollout)? {
        said if warnings(&said).is_empty() => Err(said),
        said => Ok(said),
    })?;
    assert!(warnings(&said).contains(MISTAKE), "{said}");
    // What cannot be read as a template is none of our business.
    rollout["spec"]["template"]["spec"]["containers"] = json!("none");
    let said = told.says(&rollout)?;
    assert_eq!(warnings(&said), BTreeSet::new(), "{said}");
    assert!(said.contains("rollout.argoproj.io/web created"), "{said}");
    Ok(())
}

/// Every mistake that a Pod is refused for, in the same words; and nothing is said of what is right.
pub(crate) fn a_template_is_told_the_sentences_that_its_pods_would_be(world: &World) -> TestResult {
    let told = Told::in_a_namespace(world)?;
    let mut warning = Settings::new(tests::images::SYNCER);
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
                // No API server ever reads that.
                continue;
            }
            // All that a Deployment takes.
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
        let said = told.says(&json!({"apiVersion": "v1", "kind": "List", "items": objects}));
        // What the API server itself refuses is no less told of.
        let (Ok(said) | Err(said)) = said;
        // The API server's own begin with the field.
        let is_ours = |text: &&str| !text.starts_with("spec.");
        let found: BTreeSet<&str> = warnings(&said).into_iter().filter(is_ours).collect();
        let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
        let missing: Vec<&&str> = expected.difference(&found).collect();
        let invented: Vec<&&str> = found.difference(&expected).collect();
        let both = (missing.is_empty(), invented.is_empty());
        assert_eq!(both, (true, true), "{kind}: {missing:#?} {invented:#?}");
    }
    Ok(())
}

pub(crate) fn it_is_told_once_and_again_when_the_template_changes(world: &World) -> TestResult {
    let told = Told::in_a_namespace(world)?;
    let namespace = &told.namespace;
    let wrong = json!({"gitvolume.dev/repo": REPO, "gitvolume.dev/mode": "always"});
    let object = deployment("web", &wrong).to_string();
    let sent = ["--server-side", "--field-manager=author"];
    let said = namespace.apply_with(&sent, &object)?;
    assert_eq!(warnings(&said), BTreeSet::from([MISTAKE]), "{said}");
    // Nothing of it was changed.
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
        let said = namespace.apply_with(&sent, object)?;
        assert_eq!(warnings(&said), BTreeSet::new(), "{said}");
    }
    more["metadata"]["annotations"]["gitvolume.dev/ref"] = json!("main");
    let said = namespace.apply_with(&sent, &more.to_string())?;
    assert!(
        said.contains("gitvolume.dev/ref: no effect on a Deployment"),
        "{said}"
    );
    more["spec"]["template"]["spec"]["containers"][0]["image"] = json!("nginx:2");
    let said = namespace.apply_with(&sent, &more.to_string())?;
    assert!(warnings(&said).contains(MISTAKE), "{said}");
    Ok(())
}

pub(crate) fn what_a_controller_makes_and_what_asks_for_nothing_is_not_sent(
    world: &World,
) -> TestResult {
    let told = Told::in_a_namespace(world)?;
    let wrong = json!({"gitvolume.dev/repo": REPO, "gitvolume.dev/mode": "always"});
    let mut replica_set = deployment("controlled", &wrong);
    replica_set["kind"] = json!("ReplicaSet");
    replica_set["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "controller": true,
        "uid": "4b1c8e5e-0000-4000-8000-000000000000",
    }]);
    let plain = deployment("plain", &json!({"example.com/gitvolume.dev": "x"}));
    for object in [&replica_set, &plain] {
        let said = told.says(object)?;
        assert_eq!(warnings(&said), BTreeSet::new(), "{said}");
    }
    told.says(&deployment("asking", &wrong))?;
    let log = serving(world.cluster())?.log();
    let of = |name: &str| {
        let (namespace, name) = (told.namespace.name(), format!("\"pod\":\"{name}\""));
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

pub(crate) fn without_the_webhook_a_workload_is_applied_all_the_same(world: &World) -> TestResult {
    let told = Told::in_a_namespace(world)?;
    // Port 1 is no one's: the connection is refused at once.
    told.register("127.0.0.1:1", serving(world.cluster())?.ca())?;
    let wrong = json!({"gitvolume.dev/mode": "always"});
    eventually(
        "the new address in force",
        Duration::from_secs(30),
        || match told.says(&deployment("web", &wrong))? {
            said if said.trim() == "deployment.apps/web created (server dry run)" => Ok(()),
            said => Err(said),
        },
    )?;
    Ok(())
}
