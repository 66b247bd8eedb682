//! The settings of a cluster's webhook, from the Pod that it runs in: its flags, and the ConfigMap
//! that its flags name.

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
use crate::args::without_env;

/// The settings that a Pod of the webhook's was started with, or why they cannot be known.
pub async fn of_webhook(live: &Live, pod: &Value) -> Result<Settings, String> {
    let argv = argv(pod).ok_or("it has no container that runs gitvolume serve")?;
    let wrong = |error: clap::Error| first_line(&error.to_string());
    // The environment is the Pod's, and never that of whoever runs this.
    let command = without_env(Cli::command(), "serve");
    let matches = command.try_get_matches_from(argv).map_err(wrong)?;
    let cli = Cli::from_arg_matches(&matches).map_err(wrong)?;
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

/// What the webhook's container is started with; its variables as the flags that they stand for.
fn argv(pod: &Value) -> Option<Vec<String>> {
    let containers = pod["spec"]["containers"].as_array()?;
    containers.iter().find_map(|container| {
        let args = container["args"].as_array()?;
        let args: Vec<String> = args
            .iter()
            .filter_map(|own| Some(own.as_str()?.to_owned()))
            .collect();
        let is_serve = args.first().is_some_and(|first| first == "serve");
        is_serve.then(|| {
            let variables = variables(container, &args);
            [vec!["gitvolume".to_owned()], args, variables].concat()
        })
    })
}

/// The flags that a container's variables stand for, where it has no such flag itself.
fn variables(container: &Value, args: &[String]) -> Vec<String> {
    let program = Cli::command();
    let serve = program.find_subcommand("serve").into_iter();
    let flags = serve.flat_map(clap::Command::get_arguments);
    let flags = flags.filter(|flag| flag.get_action().takes_values());
    let env = container["env"].as_array();
    let value = |name: &str| {
        let mut env = env.into_iter().flatten();
        env.rfind(|own| own["name"] == name)?["value"].as_str()
    };
    flags
        .filter_map(|flag| {
            let value = value(flag.get_env()?.to_str()?).filter(|value| !value.is_empty())?;
            let flag = format!("--{}", flag.get_long()?);
            let with_value = format!("{flag}=");
            let is_given = args
                .iter()
                .any(|own| *own == flag || own.starts_with(&with_value));
            (!is_given).then(|| format!("{with_value}{value}"))
        })
        .collect()
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
        let pod = json!({"spec": {"containers": [{
            "args": ["serve", "--on-mistake=deny"],
            "env": [
                {"name": "GITVOLUME_ON_MISTAKE", "value": "warn"},
                {"name": "GITVOLUME_SYNCER_IMAGE", "value": "syncer:1"},
                {"name": "OTHER", "value": "x"},
            ],
        }]}});
        let own = [
            "gitvolume",
            "serve",
            "--on-mistake=deny",
            "--syncer-image=syncer:1",
        ];
        assert_eq!(argv(&pod).unwrap(), own);
    }
}
