//! The manifests under `examples/` on a real API server: valid, and every Pod that requests a
//! repository itself is stored with its syncer.

use serde_json::Value;
use serde_json::json;
use tests::examples;
use tests::installation::world::TestResult;
use tests::installation::world::World;

use crate::crds::define;

/// A dry run that refuses unknown fields.
const STRICT: [&str; 2] = ["--dry-run=server", "--validate=strict"];

pub(crate) fn every_example_is_admitted_and_its_pods_are_injected(world: &World) -> TestResult {
    define(world)?;
    let namespace = world.namespace(&[])?;
    let mut injected = 0;
    for manifest in examples::manifests()? {
        let name = manifest.path.display().to_string();
        for mut object in serde_saphyr::from_multiple::<Value>(&manifest.text)? {
            let is_in_a_namespace = object["metadata"]["namespace"].is_string();
            if is_in_a_namespace {
                object["metadata"]["namespace"] = json!(namespace.name());
            }
            let (_, printed) = namespace
                .created(&STRICT, &object.to_string())
                .map_err(|error| format!("{name}: {error}"))?;
            // Of an old gitRepo volume the API server warns in the template, and the webhook in the Pod.
            let is_old = manifest.example == "gitrepo";
            assert!(is_old || !printed.contains("Warning"), "{name}: {printed}");
            let Some(template) = inject::pod_template(&object).and_then(|at| object.pointer(at))
            else {
                continue;
            };
            let annotations = template["metadata"]["annotations"].to_string();
            if !is_old && !annotations.contains("gitvolume.dev/") {
                // By its GitVolume, which the shared webhook does not watch.
                continue;
            }
            let pod = json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "generateName": "example-", "labels": template["metadata"]["labels"],
                    "annotations": template["metadata"]["annotations"],
                },
                "spec": template["spec"],
            });
            let (pods, printed) = namespace
                .created(&STRICT, &pod.to_string())
                .map_err(|error| format!("{name}: {error}"))?;
            assert!(is_old || !printed.contains("Warning"), "{name}: {printed}");
            let listed = &pods[0]["metadata"]["annotations"]["gitvolume.dev/injected"];
            let own = &pods[0]["spec"]["initContainers"][0];
            assert_eq!(own["name"], *listed, "{name}: {}", pods[0]);
            assert_eq!(own["command"], json!(["/gitvolume-syncer"]), "{name}");
            injected += 1;
        }
    }
    assert!(injected > 7, "only {injected} Pods were injected");
    Ok(())
}
