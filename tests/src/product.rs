//! The product, installed by its own chart.

use crate::cluster::Cluster;
use crate::images;
use crate::kubectl::Kubectl;
use crate::settings;
use crate::tools::tool;
use anyhow::{Context, Result, anyhow, bail};
use std::process::Command;
use std::time::Duration;

/// The namespace it is installed in.
pub const NAMESPACE: &str = "gitvolume-system";
/// The release, and so the Deployment, the Service and the webhook configuration.
pub const RELEASE: &str = "gitvolume";

/// Installs the chart with the images of this build and waits until the webhook is ready.
pub fn install(cluster: &Cluster) -> Result<()> {
    let kubectl = cluster.kubectl();
    let mut helm = Command::new(tool("helm"));
    helm.args(["upgrade", "--install", RELEASE])
        .arg(settings::root().join("charts/gitvolume"))
        .args(["--create-namespace", "--wait", "--timeout=3m"])
        .args(["--namespace", NAMESPACE])
        .arg("--kubeconfig")
        .arg(kubectl.kubeconfig())
        // helm keeps caches in the home directory otherwise.
        .env("HOME", cluster.folder());
    for (value, image) in [("image", images::WEBHOOK), ("syncer.image", images::SYNCER)] {
        let (repository, tag) = image.rsplit_once(':').context("an image without a tag")?;
        helm.arg(format!(
            "--set={value}.repository={repository},{value}.tag={tag}"
        ));
    }
    let said = helm.output().context("run helm")?;
    if !said.status.success() {
        bail!(
            "helm: {}\n{}",
            String::from_utf8_lossy(&said.stderr),
            kubectl.in_namespace(NAMESPACE).report()
        );
    }
    Ok(())
}

/// What the chart makes of these templates, as one YAML text.
pub fn render(cluster: &Cluster, templates: &[&str]) -> Result<String> {
    let mut helm = Command::new(tool("helm"));
    helm.args(["template", RELEASE])
        .arg(settings::root().join("charts/gitvolume"))
        .args(["--namespace", NAMESPACE])
        .args(
            templates
                .iter()
                .map(|template| format!("--show-only={template}")),
        )
        .env("HOME", cluster.folder());
    let said = helm.output().context("run helm")?;
    if !said.status.success() {
        bail!("helm: {}", String::from_utf8_lossy(&said.stderr));
    }
    Ok(String::from_utf8(said.stdout)?)
}

/// Gives the webhook this many Pods, and waits until it has them.
pub fn scale(cluster: &Kubectl, replicas: u8) -> Result<()> {
    let kubectl = cluster.in_namespace(NAMESPACE);
    let deployment = format!("deployment/{RELEASE}");
    let replicas = format!("--replicas={replicas}");
    let scaled = kubectl
        .run(&["scale", &deployment, &replicas])
        .and_then(|_| {
            kubectl.run(&["rollout", "status", &deployment, "--timeout=2m"])?;
            if replicas == "--replicas=0" {
                let gone = ["pod", "--selector=app.kubernetes.io/name=gitvolume"];
                kubectl.run(&[&["wait", "--for=delete", "--timeout=2m"], &gone[..]].concat())?;
            } else {
                kubectl.wait_for(&deployment, "condition=Available", Duration::from_secs(120))?;
            }
            Ok(())
        });
    scaled.map_err(|error| anyhow!(error))
}
