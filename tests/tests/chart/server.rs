//! The chart against a real API server: the newest minor and the oldest supported one.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use anyhow::anyhow;
use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::installation::product;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::cluster::Cluster;
use tests::settings;

use tests::installation::chart::Rendered;
use tests::installation::chart::sets;
use tests::installation::chart::text;

/// Timeout for the API server to see a new object.
const LONG: Duration = Duration::from_secs(30);

/// Installs the CRDs of other projects whose kinds the chart uses, as those projects publish them.
pub(crate) fn install_other_projects_kinds(cluster: &Cluster) -> Result<()> {
    let kubectl = cluster.kubectl();
    let run = |args: &[&str]| kubectl.run(args).map_err(|error| anyhow!(error));
    run(&["create", "namespace", product::NAMESPACE])?;
    let folder: PathBuf = settings::root().join("tests/testdata/crds");
    run(&["create", "-f", &folder.to_string_lossy()])?;
    run(&[
        "wait",
        "--for=condition=Established",
        "--all",
        "--timeout=60s",
        "crds",
    ])?;
    // kubectl uses discovery, which the API server updates with a delay.
    eventually("the new kinds to be told of", LONG, || {
        let known = kubectl.run(&["api-resources", "-o=name"])?;
        let kinds = [
            "servicemonitors.",
            "prometheusrules.",
            "certificates.",
            "issuers.",
            "httproutes.",
        ];
        match kinds.iter().find(|kind| !known.contains(**kind)) {
            None => Ok(()),
            Some(kind) => Err(format!("no {kind}")),
        }
    })
    .map_err(|error| anyhow!(error))
}

pub(crate) fn each_object_of_each_set_is_accepted_strictly_and_without_a_warning(
    world: &World,
) -> TestResult {
    for set in sets::all()? {
        let yaml = text(&set.values, &[])?;
        let flags = ["--dry-run=server", "--validate=strict"];
        let output = world.kubectl().apply_with(&flags, &yaml);
        let output = output.map_err(|error| format!("{}: {error}", set.name))?;
        assert!(!output.contains("Warning"), "{}: {output}", set.name);
        let count = output
            .lines()
            .filter(|line| line.ends_with("(server dry run)"))
            .count();
        assert_eq!(count, set.rendered()?.all().len(), "{}: {output}", set.name);
    }
    Ok(())
}

/// While no webhook responds and failurePolicy is Fail, as during the first installation.
pub(crate) fn our_own_pods_and_those_of_kube_system_start_without_us(world: &World) -> TestResult {
    let rendered = Rendered::with(&json!({}))?;
    let registration = rendered.one("MutatingWebhookConfiguration")?;
    let name = registration["metadata"]["name"].as_str().ok_or("no name")?;
    let auto = "gitvolume.dev/auto-inject=enabled";
    for namespace in [product::NAMESPACE, "kube-system"] {
        let label = ["label", "namespace", namespace, "--overwrite", auto];
        world.kubectl().run(&label)?;
        // There is no controller that creates a ServiceAccount.
        let made = ["create", "serviceaccount", "default"];
        let _ = world.kubectl().in_namespace(namespace).run(&made);
    }
    world.kubectl().apply(&registration.to_string())?;
    let outcome = start_without_us(world, &rendered);
    world
        .kubectl()
        .run(&["delete", "mutatingwebhookconfiguration", name])?;
    outcome
}

fn start_without_us(world: &World, rendered: &Rendered) -> TestResult {
    let ours = world.kubectl().in_namespace(product::NAMESPACE);
    let system = world.kubectl().in_namespace("kube-system");
    let plain = |annotations: Value| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "web", "annotations": annotations},
            "spec": {"containers": [{"name": "web", "image": "nginx"}]},
        })
        .to_string()
    };
    let asking = plain(json!({"gitvolume.dev/repo": "https://git.example/site.git"}));
    let silent = plain(json!({}));
    let flag = ["--dry-run=server"];
    let chosen = world.namespace(&[("gitvolume.dev/auto-inject", "enabled")])?;
    let other = world.namespace(&[])?;
    for (pod, namespace, entry) in [
        (&asking, &other, "pods.gitvolume.dev"),
        (&silent, &chosen, "auto.gitvolume.dev"),
        (&asking, &chosen, "auto.gitvolume.dev"),
    ] {
        eventually("the registration in force", LONG, || {
            match namespace.create_with(&flag, pod) {
                Err(refusal) if refusal.contains(entry) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })?;
        system.create_with(&flag, pod)?;
    }
    // The webhook is also called for annotated Pods in its own namespace, which may be shared, for
    // example `default`.
    assert!(ours.create_with(&flag, &asking).is_err());
    ours.create_with(&flag, &silent)?;
    let mut own = rendered.one("Deployment")?["spec"]["template"].clone();
    own["apiVersion"] = json!("v1");
    own["kind"] = json!("Pod");
    own["metadata"]["name"] = json!("own");
    own["spec"]["serviceAccountName"] = json!("default");
    ours.create_with(&flag, &own.to_string())?;
    Ok(())
}

/// The Pod complies with the level that the cluster may enforce in our namespace.
pub(crate) fn our_own_pods_pass_the_restricted_level(world: &World) -> TestResult {
    let namespace = world.namespace(&[("pod-security.kubernetes.io/enforce", "restricted")])?;
    for set in sets::all()? {
        if set.values["hostNetwork"] == json!(true) {
            // The level never allows it.
            continue;
        }
        let rendered = set.rendered()?;
        let workloads = ["Deployment", "StatefulSet"].map(|kind| rendered.of_kind(kind));
        for workload in workloads.concat() {
            let mut own = workload["spec"]["template"].clone();
            own["apiVersion"] = json!("v1");
            own["kind"] = json!("Pod");
            own["metadata"]["name"] = json!("own");
            // The StatefulSet's controller adds the volumes of the claims.
            let volumes = own["spec"]["volumes"].as_array_mut().ok_or("no volumes")?;
            for claim in workload["spec"]["volumeClaimTemplates"]
                .as_array()
                .into_iter()
                .flatten()
            {
                volumes.push(json!({"name": claim["metadata"]["name"], "emptyDir": {}}));
            }
            let spec = own["spec"].as_object_mut().ok_or("no spec")?;
            for (key, value) in [
                ("serviceAccountName", json!("default")),
                ("runtimeClassName", Value::Null),
            ] {
                spec.insert(key.to_owned(), value);
            }
            let output = namespace.create_with(&["--dry-run=server"], &own.to_string());
            output.map_err(|error| format!("{}: {error}", set.name))?;
        }
    }
    Ok(())
}
