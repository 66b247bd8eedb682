//! Reads the state of the syncers of a Pod, with the least permission that works: over HTTP through
//! the API server where the syncer serves HTTP (`gitvolume.dev/metrics-port`), from the file on the
//! state volume otherwise, and from the log once the container has ended.

use std::collections::BTreeMap;

use args::expand_as_kubelet;
use args::mask_addresses;
use args::paths;
use futures::StreamExt;
use inject::Role;
use serde::Deserialize;
use serde_json::Deserializer;
use serde_json::Value;

use super::state::PodState;
use super::state::PublishedCommit;
use super::state::RepositoryState;
use super::state::StateSource;
use super::state::SyncerState;
use crate::live::ClusterReader;
use crate::live::Unavailable;

/// Pods that are read at a time.
const CONCURRENT: usize = 16;

/// Lines of a log that are read; the last publication is at its end.
const LOG_LINES: u32 = 1000;

/// The name of the container port that `gitvolume.dev/metrics-port` adds.
const PORT: &str = "gitvolume";

/// The files on the state volume: the list of several repositories, and the state of one.
const LIST: &str = "repos.json";
const HEALTH: &str = "health.json";

/// Reads the state of all Pods, in their order.
pub async fn read_all(live: &ClusterReader, pods: &[Value]) -> Vec<PodState> {
    let reading = pods.iter().map(|pod| read(live, pod));
    futures::stream::iter(reading)
        .buffered(CONCURRENT)
        .collect()
        .await
}

/// Reads the state of one Pod.
pub async fn read(live: &ClusterReader, pod: &Value) -> PodState {
    let text = |key: &str| pod["metadata"][key].as_str().unwrap_or_default();
    let mut state = PodState {
        namespace: text("namespace").to_owned(),
        pod: text("name").to_owned(),
        syncers: Vec::new(),
    };
    for container in pod["spec"]["initContainers"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let name = container["name"].as_str().unwrap_or_default();
        if Role::is_container_name(name) {
            let at = PlaceInPod {
                namespace: &state.namespace,
                pod: &state.pod,
                container,
                name,
            };
            let syncer = syncer(live, at, pod).await;
            state.syncers.push(syncer);
        }
    }
    state
}

/// An injected container and its Pod.
#[derive(Clone, Copy)]
struct PlaceInPod<'a> {
    namespace: &'a str,
    pod: &'a str,
    container: &'a Value,
    name: &'a str,
}

async fn syncer(live: &ClusterReader, at: PlaceInPod<'_>, pod: &Value) -> SyncerState {
    let statuses = pod["status"]["initContainerStatuses"].as_array();
    let mut statuses = statuses.into_iter().flatten();
    let status = statuses.find(|own| own["name"] == at.name);
    let status = status.map_or(&Value::Null, |own| &own["state"]);
    let mut syncer = SyncerState {
        container: at.name.to_owned(),
        source: StateSource::Spec,
        repositories: requested(at.container),
        waiting: None,
        unreadable: None,
        is_forbidden: false,
    };
    let read = if status.get("running").is_some() {
        running(live, at).await
    } else if status.get("terminated").is_some() {
        let log = ended(live, at, &syncer.repositories).await;
        log.map(|repositories| (StateSource::Log, repositories))
    } else {
        syncer.waiting = Some(waiting(&status["waiting"]));
        return syncer;
    };
    match read {
        Ok((source, repositories)) => {
            syncer.source = source;
            // Before the first pass has ended there is no file.
            if !repositories.is_empty() {
                syncer.repositories = repositories;
            }
        }
        Err(error) => {
            syncer.is_forbidden = matches!(error, Unavailable::Forbidden(_));
            syncer.unreadable = Some(error.to_string());
        }
    }
    syncer
}

/// The reason in a container's state `waiting`, in words.
fn waiting(state: &Value) -> String {
    let text = |key: &str| state[key].as_str().filter(|text| !text.is_empty());
    match (text("reason"), text("message")) {
        (Some(reason), Some(message)) => format!("{reason}: {message}"),
        (Some(reason), None) => reason.to_owned(),
        (None, _) => "not started yet".to_owned(),
    }
}

/// The state of a running syncer. Where its page cannot be read, such as behind a NetworkPolicy,
/// the file is.
async fn running(
    live: &ClusterReader,
    at: PlaceInPod<'_>,
) -> Result<(StateSource, Vec<RepositoryState>), Unavailable> {
    if let Some(port) = port(at.container)
        && let Ok(repositories) = page(live, (at.namespace, at.pod), port).await
    {
        return Ok((StateSource::Http, repositories));
    }
    let repositories = files(live, at).await?;
    Ok((StateSource::File, repositories))
}

/// The port on which a syncer's container serves HTTP.
pub fn port(container: &Value) -> Option<u64> {
    let mut ports = container["ports"].as_array()?.iter();
    let port = ports.find(|port| port["name"] == PORT)?;
    port["containerPort"].as_u64()
}

/// The syncer's page `/status`.
#[derive(Deserialize)]
struct StatusPage {
    repos: Vec<RepositoryState>,
}

/// Reads the page `/status` of a Pod's syncer, through the API server.
pub async fn page(
    live: &ClusterReader,
    (namespace, pod): (&str, &str),
    port: u64,
) -> Result<Vec<RepositoryState>, Unavailable> {
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/status");
    let page = live.get(&path).await?;
    let page = serde_json::from_value::<StatusPage>(page).map_err(invalid)?;
    Ok(page.repos)
}

/// Reads the files on the state volume.
async fn files(
    live: &ClusterReader,
    at: PlaceInPod<'_>,
) -> Result<Vec<RepositoryState>, Unavailable> {
    let state = state_dir(at.container);
    let (list, health) = (format!("{state}/{LIST}"), format!("{state}/{HEALTH}"));
    let own = cat(live, at, &[&list, &health]).await?;
    match serde_json::from_str::<BTreeMap<String, String>>(&own) {
        Ok(several) => {
            let paths = several.values().map(|state| format!("{state}/{HEALTH}"));
            let paths: Vec<String> = paths.collect();
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            let found = repositories(&cat(live, at, &paths).await?)?;
            Ok(with_all(&several, found, requested(at.container)))
        }
        Err(_) => repositories(&own),
    }
}

/// Prints the files that exist, one after the other.
async fn cat(
    live: &ClusterReader,
    at: PlaceInPod<'_>,
    files: &[&str],
) -> Result<String, Unavailable> {
    let command = [&["cat", "--"], files].concat();
    live.output_of((at.namespace, at.pod, at.name), &command)
        .await
}

/// Parses the contents of files that were written one after the other.
fn repositories(text: &str) -> Result<Vec<RepositoryState>, Unavailable> {
    let states = Deserializer::from_str(text).into_iter::<RepositoryState>();
    states.collect::<Result<_, _>>().map_err(invalid)
}

/// Adds the repositories that have no file yet: no pass of theirs has ended.
fn with_all(
    several: &BTreeMap<String, String>,
    found: Vec<RepositoryState>,
    requested: Vec<RepositoryState>,
) -> Vec<RepositoryState> {
    let named = |all: Vec<RepositoryState>| -> BTreeMap<String, RepositoryState> {
        let all = all.into_iter();
        all.filter_map(|own| Some((own.name.clone()?, own)))
            .collect()
    };
    let (mut found, mut requested) = (named(found), named(requested));
    several
        .keys()
        .map(|name| {
            let known = found.remove(name).or_else(|| requested.remove(name));
            known.unwrap_or_else(|| RepositoryState {
                name: Some(name.clone()),
                ..RepositoryState::default()
            })
        })
        .collect()
}

/// The state directory of an injected container.
fn state_dir(container: &Value) -> &str {
    let mut variables = container["env"].as_array().into_iter().flatten();
    let own = variables.find(|own| own["name"] == "GITSYNC_STATE");
    own.and_then(|own| own["value"].as_str())
        .unwrap_or(paths::STATE)
}

/// The repositories that the spec of a container requests.
fn requested(container: &Value) -> Vec<RepositoryState> {
    let expanded = |text: &str| expand_as_kubelet(text, |_| None);
    let flag = |name: &str| {
        let args = container["args"].as_array().into_iter().flatten();
        let mut args = args.filter_map(Value::as_str);
        let prefix = format!("--{name}=");
        args.find_map(|arg| arg.strip_prefix(&prefix).map(expanded))
    };
    let r#ref = flag("ref").unwrap_or_default();
    if let Some(repo) = flag("repo") {
        return vec![RepositoryState {
            repo: mask_addresses(&repo),
            r#ref,
            ..RepositoryState::default()
        }];
    }
    let mut variables = container["env"].as_array().into_iter().flatten();
    let inline = variables.find(|own| own["name"] == "GITSYNC_CONFIG_INLINE");
    let inline = inline.and_then(|own| own["value"].as_str()).map(expanded);
    let inline: Value = inline
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let entries = inline["repos"].as_object().into_iter().flatten();
    let entries = entries.map(|(name, entry)| {
        let text = |key: &str| entry[key].as_str().map(str::to_owned);
        RepositoryState {
            name: Some(name.clone()),
            repo: mask_addresses(&text("repo").unwrap_or_default()),
            r#ref: text("ref").unwrap_or_else(|| r#ref.clone()),
            ..RepositoryState::default()
        }
    });
    entries.collect()
}

/// The repositories of a container that has ended, with the commits that its log names.
async fn ended(
    live: &ClusterReader,
    at: PlaceInPod<'_>,
    requested: &[RepositoryState],
) -> Result<Vec<RepositoryState>, Unavailable> {
    let PlaceInPod {
        namespace,
        pod,
        name,
        ..
    } = at;
    let query = format!("container={name}&tailLines={LOG_LINES}");
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/log?{query}");
    let log = live.text(&path).await?;
    Ok(with_log(&log, requested))
}

/// Adds the last commit that a log reports as published, for each repository.
fn with_log(log: &str, requested: &[RepositoryState]) -> Vec<RepositoryState> {
    let lines = log.lines();
    let lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines = lines.filter(|line| line["msg"] == "updated successfully");
    // git-sync's keys; `repo` names one of several repositories.
    let last: BTreeMap<Option<String>, String> = lines
        .filter_map(|line| {
            let name = line["repo"].as_str().map(str::to_owned);
            Some((name, line["remote"].as_str()?.to_owned()))
        })
        .collect();
    let with_commit = |own: &RepositoryState| RepositoryState {
        published: last.get(&own.name).map(|commit| PublishedCommit {
            commit: commit.clone(),
            ..PublishedCommit::default()
        }),
        ..own.clone()
    };
    requested.iter().map(with_commit).collect()
}

fn invalid(error: serde_json::Error) -> Unavailable {
    Unavailable::Failed {
        code: 0,
        message: format!("the syncer's report cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests;
