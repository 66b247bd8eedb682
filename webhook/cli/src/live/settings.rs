//! The settings of a cluster's webhook: read from its running Pods, or else from the flags of one.
//! The environment of the user has no influence.

use super::path_to;
use clap::CommandFactory;
use clap::FromArgMatches;
use k8s_openapi::api::core::v1 as core;
use std::io::Write;
use std::path::Path;

use inject::Settings;
use serde_json::Value;
use tempfile::NamedTempFile;

use super::ClusterReader;
use super::Unavailable;
use webhook::args::ServeArgs;
use webhook::server::readiness::Readiness;

/// The default port of the webhook's admin listener.
const ADMIN_PORT: u64 = 8080;

/// The readiness of a webhook Pod, read through the API server.
pub async fn readiness(live: &ClusterReader, pod: &Value) -> Result<Readiness, Unavailable> {
    let text = |key: &str| pod["metadata"][key].as_str().unwrap_or_default();
    let (namespace, name, port) = (text("namespace"), text("name"), admin_port(pod));
    let port = port.unwrap_or(ADMIN_PORT);
    let proxy = format!("/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy");
    live.readiness(&format!("{proxy}/readyz?format=json")).await
}

/// The settings in force in one of the webhook's Pods; if none answers, those from the flags of
/// one; an error if neither can be read.
pub async fn of_webhook(live: &ClusterReader, pods: &[Value]) -> Result<Settings, String> {
    for pod in pods {
        if let Ok(readiness) = readiness(live, pod).await {
            return read(&readiness);
        }
    }
    let pod = pods.first().ok_or("it has no Pod")?;
    started_with(live, pod).await
}

/// The settings in a Pod's readiness; an error if another version has settings that this one does
/// not know.
pub fn read(readiness: &Readiness) -> Result<Settings, String> {
    let settings = serde_json::from_value(readiness.settings.clone());
    settings.map_err(|error| format!("those of version {}: {error}", readiness.version))
}

/// The port of the admin listener of a Pod of the webhook or of a cache.
pub fn admin_port(pod: &Value) -> Option<u64> {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let mut ports = containers
        .filter_map(|own| own["ports"].as_array())
        .flatten();
    let port = ports.find(|port| port["name"] == "admin")?;
    port["containerPort"].as_u64()
}

/// The settings from the flags of a webhook Pod and from the ConfigMap that they name.
async fn started_with(live: &ClusterReader, pod: &Value) -> Result<Settings, String> {
    let argv = argv(pod).ok_or("it has no container with a port called admin")?;
    let args = parse(argv)?;
    let mut settings = args.settings;
    // Keeps the temporary file until it is read.
    let mut file = None;
    if let Some(path) = &settings.config {
        let text = config(live, pod, path)
            .await
            .map_err(|error| error.to_string())?;
        let mut copy = NamedTempFile::new().map_err(|error| error.to_string())?;
        copy.write_all(text.as_bytes())
            .map_err(|error| error.to_string())?;
        settings.config = Some(copy.path().to_owned());
        file = Some(copy);
    }
    let loaded = settings.load();
    drop(file);
    loaded.map_err(|error| format!("{:#}", anyhow::Error::new(error)))
}

/// Parses an argv without the environment: every flag gets a variable with an empty name, which
/// cannot exist.
fn parse(argv: Vec<String>) -> Result<ServeArgs, String> {
    let command = ServeArgs::command().mut_args(|flag| flag.env(""));
    let matches = command.try_get_matches_from(argv);
    matches
        .and_then(|matches| ServeArgs::from_arg_matches(&matches))
        .map_err(|error| first_line(&error.to_string()))
}

/// The argv of the webhook's container, which is the one that serves `/readyz`.
fn argv(pod: &Value) -> Option<Vec<String>> {
    let containers = pod["spec"]["containers"].as_array()?;
    containers.iter().find_map(|container| {
        let mut ports = container["ports"].as_array()?.iter();
        ports.find(|port| port["name"] == "admin")?;
        let args = container["args"].as_array().into_iter().flatten();
        let args = args.filter_map(|arg| Some(arg.as_str()?.to_owned()));
        let program = "gitvolume-webhook".to_owned();
        Some(std::iter::once(program).chain(args).collect())
    })
}

/// The text of a file in the Pod that comes from a ConfigMap.
async fn config(live: &ClusterReader, pod: &Value, path: &Path) -> Result<String, Unavailable> {
    let unknown = |why: &str| Unavailable::Absent(format!("{}: {why}", path.display()));
    let (map, key) =
        mounted(pod, path, "/configMap/name").ok_or(unknown("is in no ConfigMap of the Pod's"))?;
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let uri = path_to::<core::ConfigMap>(Some(namespace), &map);
    let object = live.get(&uri).await?;
    let text = object["data"][&key].as_str();
    text.map(str::to_owned)
        .ok_or_else(|| unknown(&format!("ConfigMap {map} has no key {key}")))
}

/// The ConfigMap or Secret and its key that are mounted at a path in the Pod; `name` is the JSON pointer
/// to its name in the volume.
pub fn mounted(pod: &Value, path: &Path, name: &str) -> Option<(String, String)> {
    let containers = pod["spec"]["containers"].as_array()?;
    let mut mounts = containers
        .iter()
        .filter_map(|container| container["volumeMounts"].as_array())
        .flatten();
    mounts.find_map(|mount| {
        let key = path.strip_prefix(mount["mountPath"].as_str()?).ok()?;
        let mut volumes = pod["spec"]["volumes"].as_array()?.iter();
        let volume = volumes.find(|volume| volume["name"] == mount["name"])?;
        let source = volume.pointer(name)?.as_str()?;
        Some((source.to_owned(), key.to_str()?.to_owned()))
    })
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_file_in_the_pod_is_a_key_of_a_config_map() {
        let pod = json!({"spec": {
            "containers": [{
                "args": ["--config=/etc/gitvolume/settings.yaml"],
                "ports": [{"name": "admin", "containerPort": 8080}],
                "volumeMounts": [
                    {"name": "tls", "mountPath": "/tls"},
                    {"name": "settings", "mountPath": "/etc/gitvolume"},
                ],
            }],
            "volumes": [
                {"name": "tls", "secret": {"secretName": "tls"}},
                {"name": "settings", "configMap": {"name": "gitvolume"}},
            ],
        }});
        let found = |path: &str| mounted(&pod, Path::new(path), "/configMap/name");
        assert_eq!(
            found("/etc/gitvolume/settings.yaml"),
            Some(("gitvolume".to_owned(), "settings.yaml".to_owned()))
        );
        assert_eq!(found("/tls/settings.yaml"), None);
        assert_eq!(
            argv(&pod).unwrap(),
            ["gitvolume-webhook", "--config=/etc/gitvolume/settings.yaml"]
        );
        assert_eq!(argv(&json!({"spec": {"containers": [{}]}})), None);
    }
}
