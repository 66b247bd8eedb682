//! Finds the webhook of a cluster through its registration, which names its Service.

use inject::Settings;
use k8s_openapi::api::core::v1 as core;
use kube::api::ListParams;
use serde_json::Value;

use super::ClusterReader;
use super::Part;
use super::Unavailable;
use super::known::texts;
use super::path_of;
use super::path_to;
use super::settings;

/// The name of the webhook for Pods with annotations, in the chart.
pub const PODS: &str = "pods.gitvolume.dev";

/// The name of the webhook for auto-injection, in the chart.
pub const AUTO: &str = "auto.gitvolume.dev";

/// The webhooks of gitvolume in a registration, recognised by their names.
pub fn entries(registration: &Value) -> impl Iterator<Item = &Value> {
    let entries = registration["webhooks"].as_array().into_iter().flatten();
    entries.filter(|entry| {
        let name = entry["name"].as_str().unwrap_or_default();
        name.ends_with(".gitvolume.dev")
    })
}

/// Namespace and name of the Service that a registration names.
pub fn service(registration: &Value) -> Option<(String, String)> {
    entries(registration).find_map(|entry| {
        let service = entry["clientConfig"].get("service")?;
        let text = |key: &str| Some(service[key].as_str()?.to_owned());
        Some((text("namespace")?, text("name")?))
    })
}

/// The Pods that a Service selects, without those being deleted.
pub async fn pods(live: &ClusterReader, service: &Value) -> Result<Vec<Value>, Unavailable> {
    let namespace = service["metadata"]["namespace"]
        .as_str()
        .unwrap_or_default();
    let selector: Vec<String> = texts(&service["spec"]["selector"])
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let mut pods = Vec::new();
    if selector.is_empty() {
        return Ok(pods);
    }
    let path = path_of::<core::Pod>(Some(namespace));
    let selectors = ListParams::default().labels(&selector.join(","));
    let each = |pod: Value| {
        if pod.pointer("/metadata/deletionTimestamp").is_none() {
            pods.push(pod);
        }
    };
    live.list(&path, selectors, Part::Whole, each).await?;
    Ok(pods)
}

/// The settings in force in the cluster's webhook; an error is the reason why they cannot be read.
pub async fn settings(live: &ClusterReader, registration: &Value) -> Result<Settings, String> {
    let message = |error: Unavailable| error.to_string();
    let (namespace, name) = service(registration).ok_or("its registration names no Service")?;
    let uri = path_to::<core::Service>(Some(&namespace), &name);
    let service = live.get(&uri).await.map_err(message)?;
    let pods = pods(live, &service).await.map_err(message)?;
    settings::of_webhook(live, &pods).await
}
