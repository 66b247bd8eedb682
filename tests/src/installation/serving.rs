//! The webhook as a local process, registered with an API server by URL.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::anyhow;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;

use crate::eventually::eventually;
use crate::installation::product;
use crate::kubernetes::cluster::Cluster;
use crate::kubernetes::kubectl::Kubectl;
use crate::kubernetes::namespace::Namespace;
use crate::metrics;
use crate::oci::images;
use crate::process::Process;
use crate::process::eventually_while;
use crate::settings;

/// A running `gitvolume-webhook` with its own CA.
#[derive(Debug)]
pub struct Serving {
    process: Process,
    log: PathBuf,
    ca: PathBuf,
    address: String,
    admin: String,
}

/// Name of the webhook in the chart's registration.
pub const WEBHOOK: &str = "pods.gitvolume.dev";

impl Serving {
    /// Starts it in a directory with the chart's settings and waits until it listens.
    pub fn start(dir: &Path) -> Result<Self> {
        Self::start_with(dir, &json!({"image": images::SYNCER}))
    }

    /// Starts it in a directory with these settings and waits until it listens.
    pub fn start_with(dir: &Path, settings: &Value) -> Result<Self> {
        Self::begin(dir, settings, None, &[])
    }

    /// Starts it like [`start_with`](Self::start_with), with a watch of this cluster's namespaces.
    pub fn start_watching(dir: &Path, settings: &Value, cluster: &Kubectl) -> Result<Self> {
        Self::begin(dir, settings, Some(cluster), &["--watch-namespaces"])
    }

    /// Starts it like [`start_with`](Self::start_with), with a watch of this cluster's objects and
    /// of the registration with this name.
    pub fn start_watching_objects(
        dir: &Path,
        settings: &Value,
        cluster: &Kubectl,
        registration: &str,
    ) -> Result<Self> {
        let registration = format!("--webhook-configuration={registration}");
        let flags = ["--watch-objects", &registration];
        Self::begin(dir, settings, Some(cluster), &flags)
    }

    fn begin(
        dir: &Path,
        settings: &Value,
        watched: Option<&Kubectl>,
        flags: &[&str],
    ) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let ca = dir.join("webhook-ca.pem");
        let config = dir.join("settings.json");
        std::fs::write(&config, settings.to_string())?;
        let args = [
            "--tls=in-memory",
            "--tls-name=127.0.0.1",
            "--listen=127.0.0.1:0",
            "--admin-listen=127.0.0.1:0",
            &format!("--config={}", config.display()),
            "--drain-delay=0s",
            "--log-format=json",
            &format!("--ca-out={}", ca.display()),
        ]
        .map(str::to_owned);
        let logs = dir.join("log");
        let binary = settings::webhook_binary();
        let process = match watched {
            None => Process::start("gitvolume", &binary, &args, &logs),
            Some(cluster) => {
                let kubeconfig = format!("KUBECONFIG={}", cluster.kubeconfig().display());
                let program = [kubeconfig, binary.display().to_string()];
                let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
                let args = [&program[..], &args, &flags].concat();
                Process::start("gitvolume", Path::new("env"), &args, &logs)
            }
        };
        let process =
            process.with_context(|| format!("start {}: make dist builds it", binary.display()))?;
        let log = logs.join("gitvolume.log");
        let line = eventually_while(
            || process.check(),
            "a webhook that listens",
            Duration::from_secs(30),
            || listening(&log),
        )?;
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let (address, admin) = (text("address"), text("admin"));
        Ok(Self {
            process,
            log,
            ca,
            address,
            admin,
        })
    }

    /// The file of the CA that signed its certificate.
    pub fn ca(&self) -> &Path {
        &self.ca
    }

    /// Address of its TLS listener, `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Address of its metrics, `127.0.0.1:PORT`.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// A page of its admin listener; an error if the status is not 200.
    pub fn page(&self, path: &str) -> Result<String, String> {
        let (host, port) = self.admin.split_once(':').ok_or("no admin address")?;
        let port = port.parse().map_err(|_| "no port")?;
        crate::http::get(host, port, path)
    }

    /// The value of one of its metrics; name and labels without the common prefix.
    pub fn metric(&self, sample: &str) -> Result<f64, String> {
        metrics::value(&self.page("/metrics")?, sample)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its complete log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The `clientConfig` of a webhook of the chart, with our URL in place of the Service.
    pub fn client_config(&self, webhook: &Value) -> Result<Value> {
        let path = webhook["clientConfig"]["service"]["path"].as_str();
        let path = path.context("a webhook without a path")?;
        let ca = STANDARD.encode(std::fs::read(&self.ca)?);
        Ok(json!({"url": format!("https://{}{path}", self.address), "caBundle": ca}))
    }

    /// Registers it as the chart does, under this name and with its URL in place of the Service,
    /// once for each of these webhooks. Each webhook comes with its namespaces: the items of
    /// `namespaceSelector.matchExpressions`. Waits until the API server calls the first webhook for
    /// a Pod in a namespace with these labels.
    pub fn register(
        &self,
        cluster: &Cluster,
        name: &str,
        webhooks: &[(&str, Value)],
        labels: &[(&str, &str)],
    ) -> Result<()> {
        let only = "--show-only=templates/mutatingwebhookconfiguration.yaml";
        let rendered = product::render(cluster, &[only])?;
        let kubectl = cluster.kubectl();
        // kubectl converts the YAML to JSON.
        let output = kubectl.apply_with(&["--dry-run=client", "-o=json"], &rendered);
        let mut configuration: Value = serde_json::from_str(&output.map_err(|e| anyhow!(e))?)?;
        let mut rendered = configuration["webhooks"].as_array().into_iter().flatten();
        let chart = rendered.find(|entry| entry["name"] == WEBHOOK);
        let chart = chart.context("no such webhook in the chart")?.clone();
        let client = self.client_config(&chart)?;
        let entries = webhooks.iter().map(|(webhook, namespaces)| {
            let mut entry = chart.clone();
            entry["name"] = json!(webhook);
            entry["clientConfig"] = client.clone();
            let own = &mut entry["namespaceSelector"]["matchExpressions"];
            let all = [own.clone(), namespaces.clone()];
            *own = all
                .iter()
                .filter_map(Value::as_array)
                .flatten()
                .cloned()
                .collect();
            entry
        });
        configuration["webhooks"] = entries.collect();
        configuration["metadata"]["name"] = json!(name);
        kubectl
            .apply(&configuration.to_string())
            .map_err(|error| anyhow!(error))?;
        // The API server's watch delivers the registration with a short delay.
        let namespace = Namespace::create(kubectl, "registered", labels).map_err(|e| anyhow!(e))?;
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "registered", "annotations": {"gitvolume.dev/repo": "no-address"},
            },
            "spec": {"containers": [{"name": "x", "image": "x"}]},
        })
        .to_string();
        eventually(
            "the registration in force",
            Duration::from_secs(30),
            || match namespace.apply_with(&["--dry-run=server"], &pod) {
                Err(refusal) if refusal.contains(WEBHOOK) => Ok(()),
                // With `onMistake: warn`.
                Ok(output) if output.contains("no-address") => Ok(()),
                other => Err(format!("{other:?}")),
            },
        )
        .map_err(|error| anyhow!("{error}\n{}", self.log()))
    }
}

/// The log line that contains the ports, once it is written.
fn listening(log: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(log).map_err(|error| error.to_string())?;
    let line = text
        .lines()
        .find(|line| line.contains("\"listening\""))
        .ok_or("not yet")?;
    serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))
}
