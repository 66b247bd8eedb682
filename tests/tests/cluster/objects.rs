//! A Pod without annotations, in a namespace with GitVolumes.

use std::process::Command;

use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::installation::git_host::GitHost;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::settings;

use crate::app::READY;
use crate::app::SEEN;
use crate::app::restarts;
use crate::app::web_pod;

pub(crate) fn an_auto_injected_pod_has_its_namespaces_repository_and_the_doctor_finds_nothing(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[("gitvolume.dev/auto-inject", "enabled")])?;
    let host = GitHost::start(&namespace)?;
    let site = host.repository("site")?;
    site.commit(&[("index.html", "repository: one\n")])?;
    let object = json!({
        "apiVersion": "gitvolume.dev/v1alpha1", "kind": "GitVolume",
        "metadata": {"name": "site"},
        "spec": {
            "repo": site.http(), "mountPath": "/usr/share/nginx/html", "period": "1s",
            "podSelector": {"matchLabels": {"app": "web"}},
        },
    });
    namespace.apply(&object.to_string())?;
    for condition in ["Ready", "Accepted", "Effective"] {
        namespace.wait_for("gitvolume/site", &format!("condition={condition}"), READY)?;
    }

    let mut pod = web_pod("web", json!({}));
    pod["metadata"]["labels"] = json!({"app": "web"});
    // The other replica may see the object with a short delay.
    eventually("a Pod that the object is for", READY, || {
        namespace.apply(&pod.to_string())?;
        let made = namespace.get_json(&["pod", "web"])?;
        match made["metadata"]["annotations"]["gitvolume.dev/status"].is_string() {
            true => Ok(()),
            false => {
                namespace.delete("pod", "web")?;
                Err(made["metadata"].to_string())
            }
        }
    })?;
    namespace.wait_ready("web", READY)?;
    assert_eq!(
        restarts(&namespace, "web", "web")?,
        0,
        "it was there at once"
    );
    assert_eq!(namespace.page("web", 8080, "/")?, "repository: one\n");
    site.commit(&[("index.html", "repository: two\n")])?;
    eventually("the new page", SEEN, || {
        match namespace.page("web", 8080, "/")? {
            page if page == "repository: two\n" => Ok(()),
            page => Err(page),
        }
    })?;
    is_well(world, namespace.name())
}

/// Checks that the doctor has no findings; it reads the installation, including the replicas' own
/// pages, through the API server.
fn is_well(world: &World, namespace: &str) -> TestResult {
    let output = Command::new(settings::cli_binary())
        .args(["doctor", "-o", "json", "--namespace", namespace])
        .arg("--kubeconfig")
        .arg(world.kubectl().kubeconfig())
        .output()?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{printed}{complaint}");
    let printed: Value = serde_json::from_str(&printed)?;
    assert_eq!(printed["notLookedAt"], json!([]), "{printed:#}");
    Ok(())
}
