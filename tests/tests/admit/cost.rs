//! Cost of the registration and the guard for the API server, for a Pod with very many of
//! something: at most what the Pod costs without gitvolume.
//!
//! The CPU of the whole API server is measured, so the test runs alone.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::installation::product;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::cluster::Cluster;
use tests::kubernetes::control_plane::ControlPlane;
use tests::kubernetes::kubectl::Kubectl;
use tests::kubernetes::namespace::Namespace;
use tests::proc;

use crate::shared::SERVING;

/// Maximum factor by which the API server may need more CPU than without gitvolume. With loops in
/// cel-go it was 20.
const FACTOR: f64 = 2.0;

/// The chart's registration and guard, in force for all namespaces; dropping it restores the shared
/// registration.
struct Installed<'a>(&'a Cluster);

const OBJECTS: [&str; 3] = [
    "mutatingwebhookconfiguration/gitvolume",
    "validatingadmissionpolicybinding/gitvolume-guard",
    "validatingadmissionpolicy/gitvolume-guard",
];

impl<'a> Installed<'a> {
    /// Removes the registration and the guard.
    fn nothing(cluster: &'a Cluster) -> Result<Self, String> {
        for object in OBJECTS {
            let args = ["delete", object, "--ignore-not-found"];
            cluster.kubectl().run(&args)?;
        }
        Ok(Self(cluster))
    }

    /// Installs the registration, with the webhook's URL and with auto-injection in all namespaces,
    /// and the guard.
    fn install(&self) -> Result<(), String> {
        let to_text = |error: anyhow::Error| format!("{error:#}");
        let kubectl = self.0.kubectl();
        let flags = [
            "--show-only=templates/mutatingwebhookconfiguration.yaml",
            "--show-only=templates/validatingadmissionpolicy.yaml",
            "--show-only=templates/validatingadmissionpolicybinding.yaml",
            "--set=autoInject.allNamespaces=true",
        ];
        let rendered = product::render(self.0, &flags).map_err(to_text)?;
        let flags = ["--dry-run=client", "--validate=false", "-o=json"];
        let (rendered, _) = kubectl.created(&flags, &rendered)?;
        let serving = SERVING.get().ok_or("no webhook")?;
        for mut object in rendered {
            let webhooks = object["webhooks"].as_array_mut();
            for webhook in webhooks.into_iter().flatten() {
                webhook["clientConfig"] = serving.client_config(webhook).map_err(to_text)?;
            }
            kubectl.apply(&object.to_string())?;
        }
        Ok(())
    }
}

impl Drop for Installed<'_> {
    fn drop(&mut self) {
        let restored = Self::nothing(self.0).map(std::mem::forget);
        let registered = crate::shared::register(self.0).map_err(|error| format!("{error:#}"));
        if let Err(error) = restored.and(registered) {
            eprintln!("the webhook is not registered again: {error}");
        }
    }
}

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "app", "image": "app"}]},
    })
}

/// Pods that request nothing, with very many of something.
fn pods() -> [Value; 3] {
    let mut annotated = pod("annotations");
    let all = (0..40_000).map(|number| (format!("n{number}"), json!("")));
    annotated["metadata"]["annotations"] = Value::Object(all.collect());
    let mut mounted = pod("volumes");
    let all = (0..20_000).map(|number| json!({"name": format!("v{number}"), "emptyDir": {}}));
    mounted["spec"]["volumes"] = all.collect();
    let mut owned = pod("containers");
    let all = (0..3_000).map(|number| json!({"name": format!("c{number}"), "image": "x"}));
    owned["spec"]["initContainers"] = all.collect();
    [annotated, mounted, owned]
}

/// CPU time of the API server for a dry run of a Pod: the minimum of several.
fn cost(plane: &ControlPlane, kubectl: &Kubectl, pod: &Value) -> Result<Duration, String> {
    let text = pod.to_string();
    let used = || {
        let cpu = proc::cpu(plane.api_server_pid());
        cpu.map(proc::Cpu::total)
            .map_err(|error| format!("{error:#}"))
    };
    let mut least = Duration::MAX;
    for _ in 0..4 {
        let before = used()?;
        kubectl.create_with(&["--dry-run=server", "--validate=false"], &text)?;
        least = least.min(used()? - before);
    }
    Ok(least)
}

pub(crate) fn a_pod_with_very_many_annotations_costs_the_api_server_no_more_because_of_us(
    world: &World,
) -> TestResult {
    let plane = world.cluster().control_plane().ok_or("no API server")?;
    let ours = Installed::nothing(world.cluster())?;
    let namespace = world.namespace(&[])?;
    let excluded = world.kubectl().in_namespace("kube-system");
    let _ = excluded.run(&["create", "serviceaccount", "default"]);
    let measure = || -> Result<Vec<(String, Duration)>, String> {
        let mut costs = Vec::new();
        for pod in pods() {
            for (place, kubectl) in [("covered", &**namespace), ("excluded", &excluded)] {
                let name = format!("{} {place}", pod["metadata"]["name"]);
                costs.push((name, cost(plane, kubectl, &pod)?));
            }
        }
        Ok(costs)
    };
    is_in_force(&namespace, false)?;
    let without = measure()?;
    ours.install()?;
    is_in_force(&namespace, true)?;
    let with = measure()?;
    let mut wrong = Vec::new();
    for ((name, without), (_, with)) in without.into_iter().zip(with) {
        println!("{name}: {without:?} without us, {with:?} with us");
        // A few milliseconds are noise, not a factor.
        let most = (without + Duration::from_millis(50)).mul_f64(FACTOR);
        if with > most {
            wrong.push(format!("{name}: {without:?} without us, {with:?} with us"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

/// Waits until the webhook reports a Pod's mistake, or no longer does.
fn is_in_force(namespace: &Namespace, expected: bool) -> Result<(), String> {
    let mut wrong = pod("wrong");
    wrong["metadata"]["annotations"] = json!({"gitvolume.dev/repo": "no-address"});
    eventually(
        "the registration, or none",
        Duration::from_secs(30),
        || match namespace.create_with(&["--dry-run=server"], &wrong.to_string()) {
            Err(output) if expected && output.contains("denied the request") => Ok(()),
            Ok(_) if !expected => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )
}
