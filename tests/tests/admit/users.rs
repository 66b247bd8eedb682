//! The user of the injected containers, where the cluster restricts it.

use serde_json::Value;
use serde_json::json;
use std::time::Duration;

use tests::eventually::eventually;
use tests::installation::serving::Serving;
use tests::installation::serving::WEBHOOK;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::oci::images;

use crate::shared::SETTINGS;
use crate::shared::UNASKED;

/// The annotation of OpenShift's namespaces; the watch sees it while the webhook serves.
pub(crate) fn a_namespaces_uid_range_decides_the_user_of_our_containers(
    world: &World,
) -> TestResult {
    let dir = tempfile::tempdir()?;
    let settings = json!({"image": images::SYNCER});
    let serving = Serving::start_watching(dir.path(), &settings, world.kubectl())?;
    let labels = [(UNASKED, "true"), (SETTINGS, "users")];
    let selected = json!([{"key": SETTINGS, "operator": "In", "values": ["users"]}]);
    serving.register(world.cluster(), "users", &[(WEBHOOK, selected)], &labels)?;

    let namespace = world.namespace(&labels)?;
    let user = || -> Result<Value, String> {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "web",
                "annotations": {"gitvolume.dev/repo": "https://git.example/site.git"},
            },
            "spec": {"containers": [{"name": "web", "image": "nginx"}]},
        });
        let args = ["--dry-run=server", "-o=json"];
        let output = namespace.apply_with(&args, &pod.to_string())?;
        let pod: Value =
            serde_json::from_str(&output).map_err(|error| format!("{error}: {output}"))?;
        Ok(pod["spec"]["initContainers"][0]["securityContext"].clone())
    };
    assert_eq!(user()?["runAsUser"], 65533);

    let range = "openshift.io/sa.scc.uid-range=1000680000/10000";
    world
        .kubectl()
        .run(&["annotate", "namespace", namespace.name(), range])?;
    let security = eventually("no user of ours", Duration::from_secs(30), || {
        let security = user()?;
        match security["runAsUser"].is_null() {
            true => Ok(security),
            false => Err(format!("{security}\n{}", serving.log())),
        }
    })?;
    assert!(security["runAsGroup"].is_null(), "{security}");
    assert_eq!(security["runAsNonRoot"], true);
    Ok(())
}
