//! Installation and upgrade of the product by its chart.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;

use crate::kubernetes::cluster::Cluster;
use crate::kubernetes::kubectl::Kubectl;
use crate::settings;
use crate::tools::tool;

/// Namespace of the installation.
pub const NAMESPACE: &str = "gitvolume-system";
/// Name of the release, and so of the Deployment, the Service and the webhook configuration.
pub const RELEASE: &str = "gitvolume";

/// Installs the chart with the images of this build, and waits until the webhook is ready.
pub fn install(cluster: &Cluster) -> Result<()> {
    // With the chart's defaults, like a user's first installation.
    upgrade(cluster, &[])
}

/// Upgrades or installs the chart with these further arguments, such as `--set=image.tag=next`, and
/// waits until the webhook is ready. Values that are not set return to the chart's defaults.
pub fn upgrade(cluster: &Cluster, more: &[&str]) -> Result<()> {
    let kubectl = cluster.kubectl();
    let chart = settings::root().join("charts/gitvolume");
    let args = [
        "upgrade",
        "--install",
        // Without any value given, helm would reuse those of the previous release.
        "--reset-values",
        RELEASE,
        &chart.to_string_lossy(),
        "--create-namespace",
        "--wait",
        "--timeout=3m",
        &format!("--namespace={NAMESPACE}"),
        &format!("--kubeconfig={}", kubectl.kubeconfig().display()),
    ];
    match helm(cluster, &[&args[..], more].concat()) {
        Ok(_) => Ok(()),
        Err(error) => bail!("{error}\n{}", kubectl.in_namespace(NAMESPACE).report()),
    }
}

/// Uninstalls the release.
pub fn uninstall(cluster: &Cluster) -> Result<()> {
    let kubectl = cluster.kubectl();
    let args = [
        "uninstall",
        RELEASE,
        "--wait",
        "--timeout=2m",
        &format!("--namespace={NAMESPACE}"),
        &format!("--kubeconfig={}", kubectl.kubeconfig().display()),
    ];
    helm(cluster, &args).map(drop)
}

/// Output of `helm template` for the chart with these further arguments, as one YAML text, without
/// the Pod of `helm test`.
pub fn render(cluster: &Cluster, more: &[&str]) -> Result<String> {
    let chart = settings::root().join("charts/gitvolume");
    let chart = chart.to_string_lossy();
    let args = ["template", RELEASE, &chart, "--skip-tests"];
    let namespace = ["--namespace", NAMESPACE];
    helm(cluster, &[&args[..], &namespace, more].concat())
}

/// Runs helm and returns its standard output; the error is its standard error.
pub fn helm(cluster: &Cluster, args: &[&str]) -> Result<String> {
    helm_in(cluster.folder(), args)
}

/// The same with this home directory for helm's caches; commands that only read the chart need no
/// cluster.
pub fn helm_in(home: &Path, args: &[&str]) -> Result<String> {
    let output = Command::new(tool("helm"))
        .args(args)
        .env("HOME", home)
        .output()
        .context("run helm")?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("helm: {}{stdout}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(stdout)
}

/// Replaces the webhook's Pods one after the other, and waits until the new ones are ready.
pub fn restart(cluster: &Kubectl) -> Result<()> {
    let kubectl = cluster.in_namespace(NAMESPACE);
    let deployment = format!("deployment/{RELEASE}");
    let restarted = kubectl
        .run(&["rollout", "restart", &deployment])
        .and_then(|_| kubectl.run(&["rollout", "status", &deployment, "--timeout=3m"]));
    restarted.map(drop).map_err(|error| anyhow!(error))
}

/// Scales the webhook to this number of replicas, and waits until they are ready.
pub fn scale(cluster: &Kubectl, replicas: u8) -> Result<()> {
    let kubectl = cluster.in_namespace(NAMESPACE);
    let deployment = format!("deployment/{RELEASE}");
    let scaled = kubectl
        .run(&["scale", &deployment, &format!("--replicas={replicas}")])
        .and_then(|_| {
            kubectl.run(&["rollout", "status", &deployment, "--timeout=2m"])?;
            if replicas == 0 {
                let gone = ["pod", "--selector=app.kubernetes.io/name=gitvolume"];
                kubectl.run(&[&["wait", "--for=delete", "--timeout=2m"], &gone[..]].concat())?;
            } else {
                kubectl.wait_for(&deployment, "condition=Available", Duration::from_secs(120))?;
            }
            Ok(())
        });
    scaled.map_err(|error| anyhow!(error))
}
