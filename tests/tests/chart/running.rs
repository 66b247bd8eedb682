//! The release on an API server, and the webhook with its ServiceAccount: what a node would run,
//! without a node.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::anyhow;
use serde_json::Value;
use tests::eventually::eventually;
use tests::installation::product;
use tests::kubernetes::cluster::Cluster;
use tests::process::Process;
use tests::settings;

use tests::installation::chart;

/// Timeout of each wait on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A release of the chart.
#[derive(Clone, Debug)]
pub(crate) struct Release<'a> {
    cluster: &'a Cluster,
    name: &'static str,
    flags: Vec<String>,
}

impl<'a> Release<'a> {
    /// A release in a namespace of the same name, with further helm flags such as `--set=a=b`.
    pub(crate) fn new(cluster: &'a Cluster, name: &'static str, flags: &[&str]) -> Self {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self {
            cluster,
            name,
            flags,
        }
    }

    /// Runs `helm COMMAND`, with these arguments after the release and the chart.
    pub(crate) fn helm(&self, command: &[&str], chart: bool, more: &[&str]) -> Result<String> {
        let path = chart::folder();
        let mut args = [command, &[self.name]].concat();
        let namespace = format!("--namespace={}", self.name);
        let kubeconfig = self.cluster.kubectl().kubeconfig();
        let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
        if chart {
            args.push(&path);
            args.extend(self.flags.iter().map(String::as_str));
        }
        args.extend([&*namespace, &kubeconfig]);
        args.extend(more);
        product::helm(self.cluster, &args)
    }

    /// Installs it; dropping the result uninstalls it.
    pub(crate) fn install(&self) -> Result<Installed<'a>> {
        self.install_with(&["--create-namespace"])
    }

    /// The same with other arguments of `helm install`.
    pub(crate) fn install_with(&self, more: &[&str]) -> Result<Installed<'a>> {
        self.helm(&["install"], true, more)?;
        Ok(Installed {
            release: self.clone(),
        })
    }

    /// Writes the output of `helm template` to a file.
    pub(crate) fn rendered(&self) -> Result<std::path::PathBuf> {
        let text = self.helm(&["template"], true, &["--skip-tests"])?;
        let file = self.cluster.folder().join(format!("{}.yaml", self.name));
        std::fs::write(&file, text)?;
        Ok(file)
    }

    /// An object of the release, from the API server.
    pub(crate) fn get(&self, kind: &str, name: &str) -> Result<Value, String> {
        let kubectl = self.cluster.kubectl().in_namespace(self.name);
        kubectl.get_json(&[kind, name])
    }

    /// The name of its objects.
    pub(crate) fn objects(&self) -> String {
        format!("{}-gitvolume", self.name)
    }

    /// The caBundle of each of its webhooks, once all have one.
    pub(crate) fn ca_bundles(&self) -> Result<Vec<String>, String> {
        let registration = self.get("mutatingwebhookconfiguration", &self.objects())?;
        let webhooks = registration["webhooks"].as_array().ok_or("no webhooks")?;
        let bundles = webhooks.iter().map(|webhook| {
            let bundle = webhook["clientConfig"]["caBundle"].as_str();
            bundle
                .map(str::to_owned)
                .ok_or_else(|| format!("no caBundle: {webhook}"))
        });
        bundles.collect()
    }

    /// Starts the webhook with the Deployment's own arguments, except for the listen addresses, and
    /// with the ServiceAccount's token; waits until it has written the caBundle.
    pub(crate) fn start(&self, binary: &Path) -> Result<Process> {
        let deployment = self
            .get("deployment", &self.objects())
            .map_err(|e| anyhow!(e))?;
        let spec = &deployment["spec"]["template"]["spec"];
        let account = spec["serviceAccountName"].as_str().context("no account")?;
        let kubectl = self.cluster.kubectl().in_namespace(self.name);
        let token = kubectl
            .run(&["create", "token", account])
            .map_err(|e| anyhow!(e))?;
        let plane = self
            .cluster
            .control_plane()
            .context("no API server of our own")?;
        let dir = self.cluster.folder().join(self.name);
        std::fs::create_dir_all(&dir)?;
        let kubeconfig = dir.join("kubeconfig");
        std::fs::write(&kubeconfig, plane.kubeconfig_for(token.trim()))?;
        let settings = self
            .get("configmap", &self.objects())
            .map_err(|e| anyhow!(e))?;
        let settings = settings["data"]["settings.yaml"]
            .as_str()
            .context("no settings")?;
        std::fs::write(dir.join("settings.yaml"), settings)?;

        let args = spec["containers"][0]["args"]
            .as_array()
            .context("no args")?;
        let mut command = vec![format!("KUBECONFIG={}", kubeconfig.display())];
        command.push(binary.display().to_string());
        command.extend(args.iter().filter_map(Value::as_str).map(|arg| {
            match arg.split_once('=').unwrap_or_default().0 {
                listen @ ("--listen" | "--admin-listen") => format!("{listen}=127.0.0.1:0"),
                "--config" => format!("--config={}", dir.join("settings.yaml").display()),
                _ => arg.to_owned(),
            }
        }));
        let process = Process::start("gitvolume", Path::new("env"), &command, &dir)?;
        eventually("the caBundle", LONG, || {
            process.check().map_err(|error| error.to_string())?;
            self.ca_bundles()
        })
        .map_err(|error| anyhow!("{error}\n{}", process.log_tail(20)))?;
        Ok(process)
    }
}

/// An installed release; removed when dropped.
#[derive(Debug)]
pub(crate) struct Installed<'a> {
    release: Release<'a>,
}

impl Drop for Installed<'_> {
    fn drop(&mut self) {
        let kubectl = self.release.cluster.kubectl();
        let uninstall = ["uninstall", "--ignore-not-found"];
        let uninstalled = self.release.helm(&uninstall, false, &[]);
        // helm keeps the CRDs, and another release could not adopt them.
        let kinds = [
            "gitvolumes.gitvolume.dev",
            "clustergitvolumes.gitvolume.dev",
        ];
        let delete = ["delete", "crds", "--ignore-not-found"];
        let deleted = kubectl.run(&[&delete[..], &kinds].concat());
        if let (Err(error), _) | (Ok(_), Err(error)) =
            (uninstalled.map_err(|error| error.to_string()), deleted)
        {
            eprintln!("release {} is not gone: {error}", self.release.name);
        }
    }
}

/// The webhook's program.
pub(crate) fn binary() -> std::path::PathBuf {
    settings::webhook_binary()
}
