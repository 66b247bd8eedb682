//! Where the webhook of a cluster is: by its registration, which names its Service.

use inject::Settings;
use serde_json::Value;

use super::Live;
use super::Part;
use super::Unseen;
use super::encoded;
use super::known::texts;
use super::settings;

/// The path of the registrations.
pub const REGISTRATIONS: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

/// The name of the webhook for Pods with annotations, in the chart.
pub const PODS: &str = "pods.gitvolume.dev";

/// The name of the webhook for auto-injection, in the chart.
pub const AUTO: &str = "auto.gitvolume.dev";

/// The webhooks of a registration that are ours, by their names.
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

/// The Pods that a Service selects, those on their way out excepted.
pub async fn pods(live: &Live, service: &Value) -> Result<Vec<Value>, Unseen> {
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
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let query = format!("labelSelector={}", encoded(&selector.join(",")));
    let each = |pod: Value| {
        if pod.pointer("/metadata/deletionTimestamp").is_none() {
            pods.push(pod);
        }
    };
    live.list(&path, &query, Part::Whole, each).await?;
    Ok(pods)
}

/// The settings that the cluster's webhook has in force, or why they cannot be known.
pub async fn settings(live: &Live, registration: &Value) -> Result<Settings, String> {
    let said = |error: Unseen| error.to_string();
    let (namespace, name) = service(registration).ok_or("its registration names no Service")?;
    let uri = format!("/api/v1/namespaces/{namespace}/services/{name}");
    let service = live.get(&uri).await.map_err(said)?;
    let pods = pods(live, &service).await.map_err(said)?;
    settings::of_webhook(live, &pods).await
}
