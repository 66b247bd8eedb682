//! The webhook as a process of its own, registered with an API server by its address.

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

use crate::cluster::Cluster;
use crate::eventually::eventually;
use crate::images;
use crate::kubectl::Kubectl;
use crate::metrics;
use crate::namespace::Namespace;
use crate::process::Process;
use crate::process::eventually_while;
use crate::product;
use crate::settings;

/// A running `gitvolume serve` with a CA of its own.
#[derive(Debug)]
pub struct Serving {
    process: Process,
    log: PathBuf,
    ca: PathBuf,
    address: String,
    admin: String,
}

/// The name of the webhook in the chart's registration.
pub const WEBHOOK: &str = "pods.gitvolume.dev";

impl Serving {
    /// Starts it in a folder with the chart's settings and waits until it listens.
    pub fn start(dir: &Path) -> Result<Self> {
        Self::start_with(dir, &json!({"image": images::SYNCER}))
    }

    /// Starts it in a folder of its own with these settings and waits until it listens.
    pub fn start_with(dir: &Path, settings: &Value) -> Result<Self> {
        Self::begin(dir, settings, None, &[])
    }

    /// Starts it as [`start_with`](Self::start_with), with a watch of this cluster's namespaces.
    pub fn start_watching(dir: &Path, settings: &Value, cluster: &Kubectl) -> Result<Self> {
        Self::begin(dir, settings, Some(cluster), &["--watch-namespaces"])
    }

    /// Starts it as [`start_with`](Self::start_with), with a watch of this cluster's objects and of the
    /// registration of this name.
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
            "serve",
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

    /// Where it answers over TLS, `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where its metrics are, `127.0.0.1:PORT`.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// What its admin listener has at a path; an error where its status is not 200.
    pub fn page(&self, path: &str) -> Result<String, String> {
        let (host, port) = self.admin.split_once(':').ok_or("no admin address")?;
        let port = port.parse().map_err(|_| "no port")?;
        crate::http::get(host, port, path)
    }

    /// The value of one of its metrics, whose name and labels are given without the common prefix.
    pub fn metric(&self, sample: &str) -> Result<f64, String> {
        metrics::value(&self.page("/metrics")?, sample)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The `clientConfig` of a webhook of the chart, with our address in the Service's place.
    pub fn client_config(&self, webhook: &Value) -> Result<Value> {
        let path = webhook["clientConfig"]["service"]["path"].as_str();
        let path = path.context("a webhook without a path")?;
        let ca = STANDARD.encode(std::fs::read(&self.ca)?);
        Ok(json!({"url": format!("https://{}{path}", self.address), "caBundle": ca}))
    }

    /// Registers it as the chart does, under a name and with its address in the Service's place,
    /// once for each of these webhooks. With a webhook's name comes which namespaces it is for: the
    /// members of a `namespaceSelector.matchExpressions`. Waits until the API server asks the first
    /// of them about a Pod in a namespace with these labels.
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
        // kubectl reads the YAML for us.
        let said = kubectl.apply_with(&["--dry-run=client", "-o=json"], &rendered);
        let mut configuration: Value = serde_json::from_str(&said.map_err(|e| anyhow!(e))?)?;
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
        // The API server learns of it by a watch, a moment later.
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
                // Where mistakes are only warned of.
                Ok(said) if said.contains("no-address") => Ok(()),
                other => Err(format!("{other:?}")),
            },
        )
        .map_err(|error| anyhow!("{error}\n{}", self.log()))
    }
}

/// The line that names the ports, once it is there.
fn listening(log: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(log).map_err(|error| error.to_string())?;
    let line = text
        .lines()
        .find(|line| line.contains("\"listening\""))
        .ok_or("not yet")?;
    serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))
}
