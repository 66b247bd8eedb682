//! The product, installed by its own chart.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;

use crate::cluster::Cluster;
use crate::kubectl::Kubectl;
use crate::settings;
use crate::tools::tool;

/// The namespace it is installed in.
pub const NAMESPACE: &str = "gitvolume-system";
/// The release, and so the Deployment, the Service and the webhook configuration.
pub const RELEASE: &str = "gitvolume";

/// Installs the chart, whose images are those of this build, and waits until the webhook is ready.
pub fn install(cluster: &Cluster) -> Result<()> {
    // With the chart's own values: a user's first installation is this one.
    upgrade(cluster, &[])
}

/// Installs the chart with these further arguments, such as `--set=image.tag=next`, over what is
/// there, and waits until the webhook is ready. What is not said has the chart's own value again.
pub fn upgrade(cluster: &Cluster, more: &[&str]) -> Result<()> {
    let kubectl = cluster.kubectl();
    let chart = settings::root().join("charts/gitvolume");
    let args = [
        "upgrade",
        "--install",
        // Without any value given helm would take those of the release before.
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

/// Removes it.
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

/// What `helm template` makes of the chart with these further arguments, as one YAML text.
pub fn render(cluster: &Cluster, more: &[&str]) -> Result<String> {
    let chart = settings::root().join("charts/gitvolume");
    let chart = chart.to_string_lossy();
    let args = ["template", RELEASE, &chart, "--namespace", NAMESPACE];
    helm(cluster, &[&args[..], more].concat())
}

/// Runs helm; answers what it wrote to standard output, or fails with what it complained of.
pub fn helm(cluster: &Cluster, args: &[&str]) -> Result<String> {
    helm_in(cluster.folder(), args)
}

/// The same with this home directory, where helm keeps its caches; no cluster is needed for what only
/// reads the chart.
pub fn helm_in(home: &Path, args: &[&str]) -> Result<String> {
    let said = Command::new(tool("helm"))
        .args(args)
        .env("HOME", home)
        .output()
        .context("run helm")?;
    let stdout = String::from_utf8_lossy(&said.stdout).into_owned();
    if !said.status.success() {
        bail!("helm: {}{stdout}", String::from_utf8_lossy(&said.stderr));
    }
    Ok(stdout)
}

/// Replaces its Pods one after the other, and waits until the new ones are ready.
pub fn restart(cluster: &Kubectl) -> Result<()> {
    let kubectl = cluster.in_namespace(NAMESPACE);
    let deployment = format!("deployment/{RELEASE}");
    let restarted = kubectl
        .run(&["rollout", "restart", &deployment])
        .and_then(|_| kubectl.run(&["rollout", "status", &deployment, "--timeout=3m"]));
    restarted.map(drop).map_err(|error| anyhow!(error))
}

/// Gives the webhook this many Pods, and waits until it has them.
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
