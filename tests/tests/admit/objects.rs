//! GitVolumes on a real API server, watched by a real webhook: their effect on matching Pods, and
//! their status.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::installation::product;
use tests::installation::serving::Serving;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::cluster::Cluster;
use tests::kubernetes::kubectl::Kubectl;
use tests::kubernetes::namespace::Namespace;
use tests::oci::images;

use crate::crds::define;
use crate::guard::Guarded;
use crate::others::once;
use crate::shared::UNASKED;
use crate::toy::AFTER_US;
use crate::toy::Toy;

/// Label of the namespaces with auto-injection.
const AUTO: &str = "gitvolume.dev/auto-inject";
/// Timeout for the API server or the webhook to see a change.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A webhook with a watch, registered as by the chart for the namespaces of one test.
struct Watching {
    serving: Serving,
    registration: String,
    kubectl: Kubectl,
}

impl Drop for Watching {
    fn drop(&mut self) {
        let kind = "mutatingwebhookconfiguration";
        let _ = self.kubectl.delete(kind, &self.registration);
    }
}

/// A directory for one test.
fn folder(cluster: &Cluster, name: &str) -> PathBuf {
    cluster.folder().join(name)
}

impl Watching {
    fn start(cluster: &Cluster, kubectl: &Kubectl, name: &str) -> Result<Self, String> {
        let text = |error: anyhow::Error| format!("{error:#}");
        let settings = json!({"image": images::SYNCER});
        let dir = folder(cluster, name);
        let serving =
            Serving::start_watching_objects(&dir, &settings, kubectl, name).map_err(text)?;
        let watching = Self {
            serving,
            registration: name.to_owned(),
            kubectl: kubectl.clone(),
        };
        watching.register(cluster).map_err(text)?;
        eventually("a webhook that is ready", TIMEOUT, || {
            watching.serving.page("/readyz")
        })?;
        Ok(watching)
    }

    /// Another replica with the same registration, which gets no Pods.
    fn another(&self, cluster: &Cluster, name: &str) -> Result<Serving, String> {
        let settings = json!({"image": images::SYNCER});
        let dir = folder(cluster, name);
        let own = &self.registration;
        let serving = Serving::start_watching_objects(&dir, &settings, &self.kubectl, own);
        let serving = serving.map_err(|error| format!("{error:#}"))?;
        eventually("a webhook that is ready", TIMEOUT, || {
            serving.page("/readyz")
        })?;
        Ok(serving)
    }

    /// Registers the chart's webhooks, with the URL in place of the Service, for namespaces with
    /// this label.
    fn register(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let only = "--show-only=templates/mutatingwebhookconfiguration.yaml";
        let rendered = product::render(cluster, &[only])?;
        let output = self
            .kubectl
            .apply_with(&["--dry-run=client", "-o=json"], &rendered)
            .map_err(|error| anyhow::anyhow!(error))?;
        let mut configuration: Value = serde_json::from_str(&output)?;
        configuration["metadata"]["name"] = json!(self.registration);
        let entries = configuration["webhooks"].as_array_mut();
        for entry in entries.into_iter().flatten() {
            entry["clientConfig"] = self.serving.client_config(entry)?;
            let own = json!({"key": label(&self.registration), "operator": "Exists"});
            let all = &mut entry["namespaceSelector"]["matchExpressions"];
            match all.as_array_mut() {
                Some(all) => all.push(own),
                None => *all = json!([own]),
            }
        }
        let applied = self.kubectl.apply(&configuration.to_string());
        applied.map(drop).map_err(|error| anyhow::anyhow!(error))
    }

    fn metric(&self, sample: &str) -> Result<f64, String> {
        self.serving.metric(sample)
    }
}

fn label(registration: &str) -> String {
    format!("gitvolume.test/{registration}")
}

fn volume(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "gitvolume.dev/v1alpha1", "kind": "GitVolume",
        "metadata": {"name": name}, "spec": spec,
    })
}

fn cluster_volume(name: &str, spec: Value) -> Value {
    let mut object = volume(name, spec);
    object["kind"] = json!("ClusterGitVolume");
    object
}

/// The repositories that a new Pod with this label would get.
fn repositories(namespace: &Namespace, app: &str) -> Result<Vec<String>, String> {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"generateName": "web-", "labels": {"app": app}},
        "spec": {"containers": [{"name": "web", "image": "nginx"}]},
    });
    let (made, _) = namespace.created(&["--dry-run=server"], &pod.to_string())?;
    let inits = made[0]["spec"]["initContainers"].as_array();
    let texts: Vec<String> = inits
        .into_iter()
        .flatten()
        .map(ToString::to_string)
        .collect();
    let all = texts.concat();
    let known = ["site", "other", "rules"].map(|name| format!("https://git.example/{name}.git"));
    Ok(known.into_iter().filter(|url| all.contains(url)).collect())
}

fn has(namespace: &Namespace, app: &str, names: &[&str]) -> Result<(), String> {
    let urls: Vec<String> = names
        .iter()
        .map(|name| format!("https://git.example/{name}.git"))
        .collect();
    eventually(&format!("{names:?} for {app}"), TIMEOUT, || {
        let found = repositories(namespace, app)?;
        match found == urls {
            true => Ok(()),
            false => Err(format!("{found:?}")),
        }
    })
}

/// Waits until a condition of an object begins with this text: `Effective=True Covered: `.
fn wait_for_condition(kubectl: &Kubectl, object: &[&str], expected: &str) -> Result<Value, String> {
    let (kind, _) = expected.split_once('=').ok_or("Type=Status expected")?;
    eventually(expected, TIMEOUT, || {
        let object = kubectl.get_json(object)?;
        let conditions = object["status"]["conditions"].as_array();
        let mut conditions = conditions.into_iter().flatten();
        let own = conditions.find(|own| own["type"] == kind);
        let own = own.ok_or_else(|| format!("no {kind}: {object}"))?;
        let text = |key: &str| own[key].as_str().unwrap_or_default();
        let line = format!(
            "{kind}={} {}: {}",
            text("status"),
            text("reason"),
            text("message")
        );
        let is_current = own["observedGeneration"] == object["metadata"]["generation"];
        match line.starts_with(expected) && is_current {
            true => Ok(own.clone()),
            false => Err(format!("{line} ({own})")),
        }
    })
}

pub(crate) fn an_object_applies_to_matching_pods_and_its_status_reports_it(
    world: &World,
) -> TestResult {
    define(world)?;
    let watching = Watching::start(world.cluster(), world.kubectl(), "objects-reach")?;
    let own = label("objects-reach");
    let namespace = world.namespace(&[(UNASKED, ""), (&own, "")])?;
    let name = namespace.name().to_owned();
    let site = volume(
        "site",
        json!({
            "repo": "https://git.example/site.git",
            "podSelector": {"matchLabels": {"app": "web"}},
        }),
    );
    namespace.apply(&site.to_string())?;
    let object = ["gitvolume", "site"];
    let accepted = wait_for_condition(&namespace, &object, "Accepted=True Accepted: ")?;
    let missing = format!(
        "Effective=False NamespaceNotCovered: namespace {name} has no label {AUTO}=enabled: only"
    );
    wait_for_condition(&namespace, &object, &missing)?;
    assert_eq!(repositories(&namespace, "web")?, [""; 0], "not covered");

    let labelled = ["label", "namespace", &name, &format!("{AUTO}=enabled")];
    world.kubectl().run(&labelled)?;
    wait_for_condition(&namespace, &object, "Effective=True Covered: ")?;
    has(&namespace, "web", &["site"])?;
    assert_eq!(repositories(&namespace, "db")?, [""; 0], "not selected");

    let mut other = site.clone();
    other["spec"]["repo"] = json!("https://git.example/other.git");
    namespace.apply(&other.to_string())?;
    has(&namespace, "web", &["other"])?;
    let still = wait_for_condition(&namespace, &object, "Accepted=True Accepted: ")?;
    assert_eq!(
        still["lastTransitionTime"], accepted["lastTransitionTime"],
        "it was so all the time"
    );

    let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": name}});
    let mut rules = format!("rules-{name}");
    rules.truncate(40);
    let rules = cluster_volume(
        rules.trim_end_matches('-'),
        json!({
            "repo": "https://git.example/rules.git", "mountPath": "/rules",
            "namespaceSelector": selector,
        }),
    );
    let rules_name = rules["metadata"]["name"].as_str().unwrap_or_default();
    let kubectl = world.kubectl();
    kubectl.apply(&rules.to_string())?;
    let cluster_object = ["clustergitvolume", rules_name];
    wait_for_condition(kubectl, &cluster_object, "Effective=True Covered: ")?;
    wait_for_condition(kubectl, &cluster_object, "Shadowed=False NotShadowed: ")?;
    has(&namespace, "web", &["other", "rules"])?;
    has(&namespace, "db", &["rules"])?;

    let same = volume(
        rules_name,
        json!({"mountPath": "/own", "podSelector": {"matchLabels": {"app": "web"}}}),
    );
    namespace.apply(&same.to_string())?;
    let shadowed = format!(
        "Shadowed=True Shadowed: spec.mountPath: overridden by GitVolume {name}/{rules_name}"
    );
    wait_for_condition(kubectl, &cluster_object, &shadowed)?;

    kubectl.delete("clustergitvolume", rules_name)?;
    has(&namespace, "db", &[])?;
    namespace.delete("gitvolume", rules_name)?;
    namespace.delete("gitvolume", "site")?;
    has(&namespace, "web", &[])?;
    assert_eq!(watching.metric("objects_stale_seconds")?, 0.0);
    Ok(())
}

/// The API server never reinvokes a webhook that it skipped in the first round, and a Pod without
/// annotations did not match the webhook for annotations: the webhook for auto-injection must be
/// reinvoked.
pub(crate) fn additions_of_a_later_webhook_to_an_auto_injected_pod_are_processed(
    world: &World,
) -> TestResult {
    define(world)?;
    let _watching = Watching::start(world.cluster(), world.kubectl(), "objects-again")?;
    let own = label("objects-again");
    let namespace = world.namespace(&[(UNASKED, ""), (&own, ""), (AUTO, "enabled")])?;
    let site = volume("site", json!({"repo": "https://git.example/site.git"}));
    namespace.apply(&site.to_string())?;
    has(&namespace, "web", &["site"])?;
    let git_repo =
        json!({"name": "old", "gitRepo": {"repository": "https://git.example/other.git"}});
    let mount = json!({"name": "old", "mountPath": "/old"});
    let operations = json!([
        {"op": "add", "path": "/spec/volumes/-", "value": git_repo},
        {"op": "add", "path": "/spec/containers/0/volumeMounts/-", "value": mount},
    ]);
    let _toy = Toy::start(world, &namespace, &AFTER_US, once(operations))?;
    has(&namespace, "web", &["site", "other"])?;
    Ok(())
}

/// Namespace and first Pod are often applied together.
pub(crate) fn a_pod_created_together_with_its_namespace_gets_the_objects(
    world: &World,
) -> TestResult {
    define(world)?;
    let _watching = Watching::start(world.cluster(), world.kubectl(), "objects-new")?;
    let own = label("objects-new");
    let rules = cluster_volume(
        "objects-new",
        json!({
            "repo": "https://git.example/rules.git", "mountPath": "/rules",
            "namespaceSelector": {"matchLabels": {own.clone(): ""}},
        }),
    );
    let kubectl = world.kubectl();
    kubectl.apply(&rules.to_string())?;
    wait_for_condition(
        kubectl,
        &["clustergitvolume", "objects-new"],
        "Effective=False NoNamespace: ",
    )?;
    let name = |number: usize| format!("objects-new-{number}");
    let outcome = (0..10).try_for_each(|number| -> Result<(), String> {
        let name = name(number);
        let labels = json!({UNASKED: "", own.clone(): "", AUTO: "enabled"});
        let all = [
            json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": name, "labels": labels},
            }),
            json!({
                "apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": {"name": "default", "namespace": name},
            }),
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": "web", "namespace": name},
                "spec": {"containers": [{"name": "web", "image": "nginx"}]},
            }),
        ];
        let list = json!({"apiVersion": "v1", "kind": "List", "items": all});
        kubectl.create(&list.to_string())?;
        let pod = kubectl.in_namespace(&name).get_json(&["pod", "web"])?;
        match pod.to_string().contains("https://git.example/rules.git") {
            true => Ok(()),
            false => Err(format!("the Pod in {name} is without: {pod}")),
        }
    });
    for number in 0..10 {
        let args = [
            "delete",
            "namespace",
            &name(number),
            "--ignore-not-found",
            "--wait=false",
        ];
        kubectl.run(&args)?;
    }
    kubectl.delete("clustergitvolume", "objects-new")?;
    Ok(outcome?)
}

/// The guard checks the injected container, not the mode in the Pod's own annotations.
pub(crate) fn a_pod_whose_object_sets_its_mode_passes_the_guard(world: &World) -> TestResult {
    define(world)?;
    let _guarded = Guarded::with(world.cluster(), &[])?;
    let _watching = Watching::start(world.cluster(), world.kubectl(), "objects-guard")?;
    let own = label("objects-guard");
    let namespace = world.namespace(&[(UNASKED, ""), (&own, ""), (AUTO, "enabled")])?;
    let site = volume("site", json!({"mode": "once", "mountPath": "/site"}));
    namespace.apply(&site.to_string())?;
    wait_for_condition(
        &namespace,
        &["gitvolume", "site"],
        "Effective=True Covered: ",
    )?;
    let annotations = json!({"gitvolume.dev/site.repo": "https://git.example/site.git"});
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "annotations": annotations},
        "spec": {"containers": [{"name": "web", "image": "nginx"}]},
    });
    let (made, _) = namespace.created(&[], &pod.to_string())?;
    let inits = &made[0]["spec"]["initContainers"];
    assert_eq!(inits[0]["name"], "gitvolume-once", "{inits}");
    let listed = &made[0]["metadata"]["annotations"]["gitvolume.dev/injected"];
    assert_eq!(listed, "gitvolume-once");
    let site = namespace.get_json(&["gitvolume", "site"])?;
    assert_eq!(
        site["status"]["observedGeneration"],
        site["metadata"]["generation"]
    );
    Ok(())
}

/// Each object is written once, regardless of the number of replicas.
pub(crate) fn replicas_do_not_write_the_same_status_twice(world: &World) -> TestResult {
    const OBJECTS: usize = 20;
    define(world)?;
    let namespace = world.namespace(&[(UNASKED, ""), (AUTO, "enabled")])?;
    let one = Watching::start(world.cluster(), world.kubectl(), "objects-one")?;
    let two = one.another(world.cluster(), "objects-two")?;
    let replicas = [&one.serving, &two];
    // Objects of other tests are not counted.
    let selector = format!("test={}", namespace.name());
    let mut all = String::new();
    for number in 0..OBJECTS {
        let mut object = volume(
            &format!("site-{number}"),
            json!({"repo": "https://git.example/site.git"}),
        );
        object["metadata"]["labels"] = json!({"test": namespace.name()});
        all.push_str(&format!("---\n{object}\n"));
    }
    namespace.apply(&all)?;
    let versions = || -> Result<Vec<String>, String> {
        let list = namespace.get_json(&["gitvolumes", "-l", &selector, "--show-managed-fields"])?;
        let items = list["items"].as_array().into_iter().flatten();
        let complete = items.filter(|own| {
            own["status"]["conditions"]
                .as_array()
                .is_some_and(|all| all.iter().any(|own| own["type"] == "Shadowed"))
        });
        Ok(complete
            .map(|own| own["metadata"]["resourceVersion"].to_string())
            .collect())
    };
    let conditions = || namespace.run(&["get", "gitvolumes", "-o=jsonpath={.items[*].status}"]);
    let first = eventually("all are told", TIMEOUT, || {
        let versions = versions()?;
        match versions.len() {
            OBJECTS => Ok(versions),
            some => Err(format!("{some} are told")),
        }
    })?;
    let before = conditions()?;
    // Both replicas evaluate all objects again, because this change concerns every object.
    let labelled = ["label", "namespace", namespace.name(), "another=label"];
    world.kubectl().run(&labelled)?;
    for number in 0..2 {
        let object = volume(
            &format!("later-{number}"),
            json!({"repo": "https://git.example/site.git"}),
        );
        namespace.apply(&object.to_string())?;
        wait_for_condition(
            &namespace,
            &["gitvolume", &format!("later-{number}")],
            "Accepted=True",
        )?;
    }
    let after = conditions()?;
    assert_eq!(versions()?, first, "written again: {before} and {after}");
    let failed = "object_status_writes_total{outcome=\"failed\"}";
    for replica in &replicas {
        assert_eq!(replica.metric(failed)?, 0.0);
    }
    Ok(())
}

/// Polls readiness during an action; returns the failed probes.
fn unready_during<T>(
    serving: &Serving,
    disturb: impl FnOnce() -> Result<T, String>,
) -> Result<(T, Vec<String>), String> {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut unready = Vec::new();
            while !is_over.load(Ordering::SeqCst) {
                unready.extend(serving.page("/readyz").err());
                std::thread::sleep(Duration::from_millis(50));
            }
            unready
        });
        let done = disturb();
        is_over.store(true, Ordering::SeqCst);
        let unready = looking.join().map_err(|_| "the looking panicked")?;
        Ok((done?, unready))
    })
}

pub(crate) fn after_a_restart_of_the_api_server_the_watch_resumes_and_nothing_changes(
    world: &World,
) -> TestResult {
    define(world)?;
    let own = label("objects-restart");
    let namespace = world.namespace(&[(UNASKED, ""), (&own, ""), (AUTO, "enabled")])?;
    let site = json!({"repo": "https://git.example/site.git"});
    namespace.apply(&volume("site", site).to_string())?;
    let watching = Watching::start(world.cluster(), world.kubectl(), "objects-restart")?;
    has(&namespace, "web", &["site"])?;
    let plane = world.cluster().control_plane().ok_or("no API server")?;

    let serving = &watching.serving;
    let restart = || {
        let restarted = plane.restart_api_server();
        restarted.map_err(|error| format!("{error:#}"))?;
        // The last known state counts, whether the watch is back or not.
        let found = repositories(&namespace, "web")?;
        assert_eq!(found, ["https://git.example/site.git"]);
        Ok(())
    };
    let ((), unready) = unready_during(serving, restart)?;
    assert_eq!(unready, [""; 0]);
    eventually("a watch that is lost is said", TIMEOUT, || {
        let log = serving.log();
        let is_said = log.contains("the GitVolumes cannot be watched")
            && log.contains("the GitVolumes are watched again");
        is_said.then_some(()).ok_or(log)
    })?;
    let other = json!({"repo": "https://git.example/other.git"});
    namespace.apply(&volume("site", other).to_string())?;
    has(&namespace, "web", &["other"])?;
    wait_for_condition(
        &namespace,
        &["gitvolume", "site"],
        "Effective=True Covered: ",
    )?;
    eventually("nothing is stale", TIMEOUT, || {
        match watching.metric("objects_stale_seconds")? {
            0.0 => Ok(()),
            stale => Err(format!("{stale} s")),
        }
    })?;
    Ok(())
}

pub(crate) fn while_the_api_server_is_down_the_webhook_stays_ready_and_reports_the_age_of_its_cache(
    world: &World,
) -> TestResult {
    define(world)?;
    let own = label("objects-away");
    let namespace = world.namespace(&[(UNASKED, ""), (&own, ""), (AUTO, "enabled")])?;
    let site = json!({"repo": "https://git.example/site.git"});
    namespace.apply(&volume("site", site).to_string())?;
    let watching = Watching::start(world.cluster(), world.kubectl(), "objects-away")?;
    has(&namespace, "web", &["site"])?;
    let plane = world.cluster().control_plane().ok_or("no API server")?;

    plane.stop_api_server();
    let serving = &watching.serving;
    let stale = eventually("knowledge that grows old", TIMEOUT, || {
        let stale = watching.metric("objects_stale_seconds")?;
        (stale > 1.0).then_some(()).ok_or(format!("{stale} s"))
    });
    let ready = serving.page("/readyz");
    let known = watching.metric("objects{kind=\"GitVolume\",accepted=\"true\"}");
    let restarted = plane.restart_api_server();
    restarted.map_err(|error| format!("{error:#}"))?;
    stale?;
    let ready = ready?;
    assert!(ready.starts_with("ok\n"), "{ready}");
    assert!(known? >= 1.0);
    has(&namespace, "web", &["site"])?;
    Ok(())
}

pub(crate) fn missing_crds_are_reported_and_used_once_installed(world: &World) -> TestResult {
    let remove = || -> Result<(), String> {
        for kind in ["gitvolumes", "clustergitvolumes"] {
            let name = format!("{kind}.gitvolume.dev");
            let args = ["delete", "crd", &name, "--ignore-not-found"];
            world.kubectl().run(&args)?;
        }
        Ok(())
    };
    remove()?;
    let watching = Watching::start(world.cluster(), world.kubectl(), "objects-absent")?;
    let log = watching.serving.log();
    assert!(log.contains("the GitVolumes are not installed"), "{log}");
    assert!(
        log.contains("the ClusterGitVolumes are not installed"),
        "{log}"
    );
    let own = label("objects-absent");
    let namespace = world.namespace(&[(UNASKED, ""), (&own, ""), (AUTO, "enabled")])?;
    assert_eq!(repositories(&namespace, "web")?, [""; 0]);

    let reappear = || {
        for _ in 0..2 {
            define(world)?;
            let site = json!({"repo": "https://git.example/site.git"});
            namespace.apply(&volume("site", site).to_string())?;
            has(&namespace, "web", &["site"])?;
            wait_for_condition(
                &namespace,
                &["gitvolume", "site"],
                "Effective=True Covered: ",
            )?;
            // Deleting the CRD deletes its objects, which the watch reports.
            remove()?;
            has(&namespace, "web", &[])?;
        }
        define(world)
    };
    let ((), unready) = unready_during(&watching.serving, reappear)?;
    assert_eq!(unready, [""; 0], "losing the kinds is no reason to go");
    Ok(())
}
