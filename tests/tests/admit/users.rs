//! Who the injected containers run as, where that is not ours to choose.

use serde_json::Value;
use serde_json::json;
use std::time::Duration;

use tests::eventually::eventually;
use tests::images;
use tests::serving::Serving;
use tests::serving::WEBHOOK;
use tests::world::TestResult;
use tests::world::World;

use crate::SETTINGS;
use crate::UNASKED;

/// The annotation of OpenShift's namespaces; the watch learns of it while the webhook serves.
pub(crate) fn a_namespace_that_hands_out_users_decides_who_we_are(world: &World) -> TestResult {
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
        let said = namespace.apply_with(&args, &pod.to_string())?;
        let pod: Value = serde_json::from_str(&said).map_err(|error| format!("{error}: {said}"))?;
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
