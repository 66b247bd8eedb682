//! The settings of a cluster's webhook: what its Pods say of themselves, and where none can be asked, what
//! they are started with. The environment of whoever looks has no part in it.

use std::io::Write;
use std::path::Path;

use clap::CommandFactory;
use clap::FromArgMatches;
use inject::Settings;
use serde_json::Value;
use tempfile::NamedTempFile;

use super::Live;
use super::Unseen;
use crate::args::Cli;
use crate::args::Command;
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

/// The settings that one of the webhook's Pods has in force; where none can be asked, those that one is
/// started with; or why neither can be known.
pub async fn of_webhook(live: &Live, pods: &[Value]) -> Result<Settings, String> {
    for pod in pods {
        if let Ok(readiness) = readiness(live, pod).await {
            return read(&readiness);
        }
    }
    let pod = pods.first().ok_or("it has no Pod")?;
    started_with(live, pod).await
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

/// The settings that a Pod of the webhook's is started with, by its flags and the ConfigMap that they name.
async fn started_with(live: &Live, pod: &Value) -> Result<Settings, String> {
    let argv = argv(pod).ok_or("it has no container that runs gitvolume serve")?;
    let cli = parse(argv)?;
    let Command::Serve(args) = cli.command else {
        return Err("it runs another command than gitvolume serve".to_owned());
    };
    let mut settings = args.settings;
    // Held until it is read.
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

/// Reads an argv by its flags alone: each has a variable of no name, which no environment has.
fn parse(argv: Vec<String>) -> Result<Cli, String> {
    let command = Cli::command();
    let command = command.mut_subcommand("serve", |serve| serve.mut_args(|flag| flag.env("")));
    let matches = command.try_get_matches_from(argv);
    matches
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| first_line(&error.to_string()))
}

/// What the webhook's container is started with.
fn argv(pod: &Value) -> Option<Vec<String>> {
    let containers = pod["spec"]["containers"].as_array()?;
    containers.iter().find_map(|container| {
        let args = container["args"].as_array()?;
        let args: Vec<String> = args
            .iter()
            .filter_map(|own| Some(own.as_str()?.to_owned()))
            .collect();
        let is_serve = args.first().is_some_and(|first| first == "serve");
        is_serve.then(|| [vec!["gitvolume".to_owned()], args].concat())
    })
}

/// A file of the Pod's, where it comes from a ConfigMap.
async fn config(live: &Live, pod: &Value, path: &Path) -> Result<String, Unseen> {
    let unknown = |why: &str| Unseen::Absent(format!("{}: {why}", path.display()));
    let (map, key) = config_map(pod, path).ok_or(unknown("is in no ConfigMap of the Pod's"))?;
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let uri = format!("/api/v1/namespaces/{namespace}/configmaps/{map}");
    let object = live.get(&uri).await?;
    let text = object["data"][&key].as_str();
    text.map(str::to_owned)
        .ok_or_else(|| unknown(&format!("ConfigMap {map} has no key {key}")))
}

/// The ConfigMap and its key that a path inside the Pod is.
fn config_map(pod: &Value, path: &Path) -> Option<(String, String)> {
    let containers = pod["spec"]["containers"].as_array()?;
    let mut mounts = containers
        .iter()
        .filter_map(|container| container["volumeMounts"].as_array())
        .flatten();
    mounts.find_map(|mount| {
        let key = path.strip_prefix(mount["mountPath"].as_str()?).ok()?;
        let mut volumes = pod["spec"]["volumes"].as_array()?.iter();
        let volume = volumes.find(|volume| volume["name"] == mount["name"])?;
        let map = volume["configMap"]["name"].as_str()?;
        Some((map.to_owned(), key.to_str()?.to_owned()))
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
    fn a_file_of_the_pods_is_a_key_of_a_config_map() {
        let pod = json!({"spec": {
            "containers": [{
                "args": ["serve", "--config=/etc/gitvolume/settings.yaml"],
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
        let found = |path: &str| config_map(&pod, Path::new(path));
        assert_eq!(
            found("/etc/gitvolume/settings.yaml"),
            Some(("gitvolume".to_owned(), "settings.yaml".to_owned()))
        );
        assert_eq!(found("/tls/settings.yaml"), None);
        assert_eq!(
            argv(&pod).unwrap(),
            [
                "gitvolume",
                "serve",
                "--config=/etc/gitvolume/settings.yaml"
            ]
        );
        assert_eq!(argv(&json!({"spec": {"containers": [{}]}})), None);
    }
}
