//! What a real API server says of the chart: the newest minor and the oldest that is supported.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use anyhow::anyhow;
use serde_json::Value;
use serde_json::json;
use tests::cluster::Cluster;
use tests::eventually::eventually;
use tests::product;
use tests::settings;
use tests::world::TestResult;
use tests::world::World;

use tests::chart::Rendered;
use tests::chart::sets;
use tests::chart::text;

/// How long the API server may take to learn of an object.
const LONG: Duration = Duration::from_secs(30);

/// The kinds of other projects' that the chart has objects of, as those publish them.
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
    // kubectl asks what there is, and what the API server tells lags behind.
    eventually("the new kinds to be told of", LONG, || {
        let known = kubectl.run(&["api-resources", "-o=name"])?;
        let kinds = [
            "servicemonitors.",
            "prometheusrules.",
            "certificates.",
            "issuers.",
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
        let said = world.kubectl().apply_with(&flags, &yaml);
        let said = said.map_err(|error| format!("{}: {error}", set.name))?;
        assert!(!said.contains("Warning"), "{}: {said}", set.name);
        let count = said
            .lines()
            .filter(|line| line.ends_with("(server dry run)"))
            .count();
        assert_eq!(count, set.rendered()?.all().len(), "{}: {said}", set.name);
    }
    Ok(())
}

/// While no webhook answers and failurePolicy is Fail, as on the first installation.
pub(crate) fn our_own_pods_and_those_of_kube_system_start_without_us(world: &World) -> TestResult {
    let rendered = Rendered::with(&json!({}))?;
    let registration = rendered.one("MutatingWebhookConfiguration")?;
    let name = registration["metadata"]["name"].as_str().ok_or("no name")?;
    let auto = "gitvolume.dev/auto-inject=enabled";
    for namespace in [product::NAMESPACE, "kube-system"] {
        let label = ["label", "namespace", namespace, "--overwrite", auto];
        world.kubectl().run(&label)?;
        // No controller makes a ServiceAccount here.
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
    // Who asks is sent to us from our own namespace too, which may be anybody's: `default`.
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

/// The Pod passes the level that the cluster may enforce in our namespace.
pub(crate) fn our_own_pods_pass_the_restricted_level(world: &World) -> TestResult {
    let namespace = world.namespace(&[("pod-security.kubernetes.io/enforce", "restricted")])?;
    for set in sets::all()? {
        if set.values["hostNetwork"] == json!(true) {
            // Not allowed there, whatever else is so.
            continue;
        }
        let rendered = set.rendered()?;
        let mut own = rendered.one("Deployment")?["spec"]["template"].clone();
        own["apiVersion"] = json!("v1");
        own["kind"] = json!("Pod");
        own["metadata"]["name"] = json!("own");
        let spec = own["spec"].as_object_mut().ok_or("no spec")?;
        for (key, value) in [
            ("serviceAccountName", json!("default")),
            ("runtimeClassName", Value::Null),
        ] {
            spec.insert(key.to_owned(), value);
        }
        let said = namespace.create_with(&["--dry-run=server"], &own.to_string());
        said.map_err(|error| format!("{}: {error}", set.name))?;
    }
    Ok(())
}
