//! The webhook's certificates on a cluster.

use std::time::Duration;

use tests::eventually::eventually;
use tests::product;
use tests::world::TestResult;
use tests::world::World;

/// Runs alone: while the API server does not trust the webhook, annotated Pods are refused.
pub(crate) fn a_ca_bundle_that_somebody_wiped_is_written_again(world: &World) -> TestResult {
    let bundle = || -> Result<String, String> {
        world.kubectl().run(&[
            "get",
            "mutatingwebhookconfiguration",
            product::RELEASE,
            "-o=jsonpath={.webhooks[0].clientConfig.caBundle}",
        ])
    };
    let before = bundle()?;
    assert!(
        !before.is_empty(),
        "the webhook wrote its CA at installation"
    );
    let wipe = r#"[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]"#;
    let patch = format!("--patch={wipe}");
    let kind = "mutatingwebhookconfiguration";
    world
        .kubectl()
        .run(&["patch", kind, product::RELEASE, "--type=json", &patch])?;

    eventually(
        "the CA bundle written again",
        Duration::from_secs(30),
        || match bundle()? {
            now if now == before => Ok(()),
            now => Err(format!("{now:?}")),
        },
    )?;
    // The API server trusts it again a moment later.
    let namespace = world.namespace(&[])?;
    let annotations = serde_json::json!({"gitvolume.dev/repo": "https://git.example/site.git"});
    let pod = crate::app::shell_pod("app", annotations, "exec sleep 3600").to_string();
    eventually("an injected Pod", Duration::from_secs(30), || {
        namespace.apply_with(&["--dry-run=server"], &pod)
    })?;
    Ok(())
}
