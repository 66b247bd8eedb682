//! What the Pods of a cluster's webhook say of themselves: their settings among it. Neither flags nor the
//! environment of whoever looks have a part in it.

use inject::Settings;
use serde_json::Value;

use super::Live;
use super::Unseen;
use crate::readiness::Readiness;

/// Where the admin listener of the webhook is, unless its container says otherwise.
const ADMIN_PORT: u64 = 8080;

/// What a Pod of the webhook's says of itself, through the API server.
pub async fn readiness(live: &Live, pod: &Value) -> Result<Readiness, Unseen> {
    let text = |key: &str| pod["metadata"][key].as_str().unwrap_or_default();
    let (namespace, name, port) = (text("namespace"), text("name"), admin_port(pod));
    let proxy = format!("/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy");
    live.readiness(&format!("{proxy}/readyz?format=json")).await
}

/// The settings that one of the webhook's Pods has in force, or why they cannot be known.
pub async fn of_webhook(live: &Live, pods: &[Value]) -> Result<Settings, String> {
    let mut trouble = "it has no Pod".to_owned();
    for pod in pods {
        match readiness(live, pod).await {
            Ok(readiness) => return read(&readiness),
            Err(error) => trouble = error.to_string(),
        }
    }
    Err(trouble)
}

/// The settings in what a Pod says; those of another version may have what this one does not know.
pub fn read(readiness: &Readiness) -> Result<Settings, String> {
    let settings = serde_json::from_value(readiness.settings.clone());
    settings.map_err(|error| format!("those of version {}: {error}", readiness.version))
}

fn admin_port(pod: &Value) -> u64 {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let mut ports = containers
        .filter_map(|own| own["ports"].as_array())
        .flatten();
    ports
        .find(|port| port["name"] == "admin")
        .and_then(|port| port["containerPort"].as_u64())
        .unwrap_or(ADMIN_PORT)
}
