//! The state of a Pod's injection.

use std::collections::BTreeMap;
use std::sync::Arc;

use inject::Key;
use inject::Namespace;
use inject::Outcome;
use inject::PREFIX;
use inject::Review;
use inject::Settings;
use inject::SkipReason;
use inject::answer;
use jiff::Timestamp;
use serde_json::Value;

use super::mesh::MESHES;
use super::syncer::Syncer;
use crate::commands::doctor::value::text;
use crate::commands::status::syncers::port;
use crate::live::known::texts;
use inject::Role;

/// A Pod that uses gitvolume, or is meant to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PodFact {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its controller.
    pub owner: Option<Workload>,
    /// Its creation time, in the API server's format.
    pub created: String,
    /// `Pending` or `Running`.
    pub phase: String,
    /// The state of its injection.
    pub state: State,
    /// Version and configuration of the webhook that injected it; empty if the status annotation
    /// cannot be parsed.
    pub by: Option<(String, String)>,
    /// The name of a gitRepo volume that was not converted.
    pub git_repo: Option<String>,
    /// Whether gitRepo volumes of it were converted.
    pub is_converted: bool,
    /// A service mesh that has redirected its network and whose proxy starts only after the
    /// injected container.
    pub mesh: Option<&'static str>,
    /// The injected container that the Pod waits for, or that keeps restarting.
    pub syncer: Option<Syncer>,
    /// The Secrets that its annotations name.
    pub secrets: Vec<String>,
    /// The port of its sidecar's page `/status`, if the sidecar runs and was given a cache.
    pub status_port: Option<u64>,
    /// The state of the cache on that page, if it was read.
    pub cache_state: Option<String>,
}

/// The state of a Pod's injection.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum State {
    /// It is injected, and a new Pod would get the same.
    #[default]
    Injected,
    /// It is injected, and a new Pod would get a different injection.
    Changed,
    /// It requests an injection by itself and is not injected.
    Missing,
    /// It has no annotation and a GitVolume selects it, but it is not injected.
    Unchosen,
    /// It was admitted without an injection because of this mistake.
    Refused(String),
    /// It is not injected, on purpose.
    LetThrough,
}

/// Waiting time in seconds after which a Pod is reported: by then an image is pulled and most
/// repositories are cloned.
pub const WAITING_TOO_LONG_SECONDS: i64 = 120;

impl PodFact {
    /// The facts of a Pod; `None` if it does not use gitvolume, or has ended.
    pub fn read(pod: &Value, settings: &Settings, namespace: &Namespace) -> Option<Self> {
        let is_over = matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
        if is_over || pod.pointer("/metadata/deletionTimestamp").is_some() {
            return None;
        }
        let annotations = texts(&pod["metadata"]["annotations"]);
        let status = annotations.get(Key::Status.annotation());
        let status = status.map(|text| serde_json::from_str::<Value>(text).unwrap_or_default());
        let mut volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
        let git_repo = volumes.find(|volume| volume.get("gitRepo").is_some());
        let has_ours = has_ours(pod);
        let ns = text(pod, "/metadata/namespace");
        let review = Review::of_pod(pod.clone()).in_namespace(ns);
        let outcome = |namespace: &Namespace| {
            // The API server accepted the Pod, so one that cannot be parsed has no outcome.
            let answer = answer(&review, settings, namespace).ok();
            answer.map(|answer| answer.outcome)
        };
        let outcome_now = outcome(namespace);
        let is_wanting = is_wanting(outcome_now.as_ref());
        // Without objects: what the Pod's own annotations request.
        let is_asking = is_wanting
            && (namespace.volumes.is_empty() || {
                let alone = Namespace {
                    volumes: Arc::default(),
                    ..namespace.clone()
                };
                self::is_wanting(outcome(&alone).as_ref())
            });
        let is_none_of_ours = matches!(
            outcome_now,
            Some(Outcome::Skip(
                SkipReason::NotRequested | SkipReason::MirrorPod
            ))
        );
        if is_none_of_ours && !has_ours && git_repo.is_none() {
            return None;
        }
        let field = |key: &str| {
            let field = status.as_ref()?.get(key)?.as_str()?;
            Some(field.to_owned()).filter(|field| !field.is_empty())
        };
        let state = if has_ours && is_wanting {
            State::Changed
        } else if has_ours {
            State::Injected
        } else if let Some(mistake) = field("refused") {
            State::Refused(mistake)
        } else if is_asking && field("skipped").is_none() {
            State::Missing
        } else if is_wanting && field("skipped").is_none() {
            State::Unchosen
        } else {
            State::LetThrough
        };
        let by = status.as_ref().filter(|_| has_ours).map(|_| {
            (
                field("version").unwrap_or_default(),
                field("config").unwrap_or_default(),
            )
        });
        let is_converted = status
            .as_ref()
            .and_then(|status| status["gitRepos"].as_object())
            .is_some_and(|volumes| has_ours && !volumes.is_empty());
        Some(Self {
            namespace: ns.to_owned(),
            name: text(pod, "/metadata/name").to_owned(),
            owner: owner(pod),
            created: text(pod, "/metadata/creationTimestamp").to_owned(),
            phase: text(pod, "/status/phase").to_owned(),
            state,
            by,
            git_repo: git_repo.map(|volume| text(volume, "/name").to_owned()),
            is_converted,
            mesh: mesh(pod),
            syncer: Syncer::read(pod),
            secrets: secrets(&annotations),
            status_port: status_port(pod),
            cache_state: None,
        })
    }

    /// The age of the Pod in seconds; `None` below [`WAITING_TOO_LONG_SECONDS`], when waiting is normal.
    pub fn waits(&self, now: i64) -> Option<i64> {
        age(&self.created, now).filter(|age| *age >= WAITING_TOO_LONG_SECONDS)
    }

    /// The workload to recreate in order to recreate this Pod.
    pub fn made_by(&self) -> Workload {
        self.owner.clone().unwrap_or_else(|| Workload {
            kind: "Pod".to_owned(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        })
    }
}

/// The age of a time in seconds; `None` if it cannot be parsed.
pub fn age(time: &str, now: i64) -> Option<i64> {
    let time: Timestamp = time.parse().ok()?;
    Some(now - time.as_second())
}

/// Whether the webhook would change or reject a Pod.
fn is_wanting(outcome: Option<&Outcome>) -> bool {
    matches!(outcome, Some(Outcome::Inject(_) | Outcome::Deny(_)))
}

/// The controller of an object.
pub fn owner(object: &Value) -> Option<Workload> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    let owner = owners.iter().find(|owner| owner["controller"] == true)?;
    Some(Workload {
        kind: text(owner, "/kind").to_owned(),
        namespace: text(object, "/metadata/namespace").to_owned(),
        name: text(owner, "/name").to_owned(),
    })
}

fn names<'a>(pod: &'a Value, list: &str) -> Vec<&'a str> {
    let containers = pod["spec"][list].as_array().into_iter().flatten();
    containers.map(|own| text(own, "/name")).collect()
}

fn has_ours(pod: &Value) -> bool {
    names(pod, "initContainers")
        .into_iter()
        .any(Role::is_container_name)
}

fn mesh(pod: &Value) -> Option<&'static str> {
    let inits = names(pod, "initContainers");
    let containers = names(pod, "containers");
    let ours = inits
        .iter()
        .position(|name| Role::is_container_name(name))?;
    let is_before = |init: &&str| inits[..ours].contains(init);
    let mesh = MESHES
        .iter()
        .find(|mesh| mesh.inits.iter().any(is_before) && containers.contains(&mesh.proxy))?;
    Some(mesh.name)
}

/// The port of the sidecar's page `/status`; `None` if the sidecar serves none, does not run, or has no
/// cache.
fn status_port(pod: &Value) -> Option<u64> {
    if text(pod, "/status/phase") != "Running" {
        return None;
    }
    let mut inits = pod["spec"]["initContainers"].as_array()?.iter();
    let sidecar = inits.find(|own| own["name"] == Role::Sync.container())?;
    let args = sidecar["args"].as_array().into_iter().flatten();
    let env = sidecar["env"].as_array().into_iter().flatten();
    let has_flag = args
        .filter_map(Value::as_str)
        .any(|arg| arg.starts_with("--cache="));
    // The configuration of several repositories is JSON.
    let has_member = env
        .filter_map(|own| own["value"].as_str())
        .any(|value| value.contains("\"cache\":"));
    let has_cache = has_flag || has_member;
    port(sidecar).filter(|_| has_cache)
}

fn secrets(annotations: &BTreeMap<String, String>) -> Vec<String> {
    let ours = annotations
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, value)));
    let named = ours.filter(|(key, _)| *key == "secret" || key.ends_with(".secret"));
    named.map(|(_, value)| value.trim().to_owned()).collect()
}

/// A reference to an object, by kind, namespace and name.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Workload {
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(pod: &Value) -> Option<PodFact> {
        PodFact::read(pod, &Settings::new("syncer:1"), &Namespace::default())
    }

    fn pod(annotations: Value) -> Value {
        json!({
            "metadata": {"name": "web", "namespace": "shop", "annotations": annotations},
            "spec": {"containers": [{"name": "web", "image": "nginx"}]},
            "status": {"phase": "Running"},
        })
    }

    fn injected(annotations: Value) -> Value {
        let mut pod = pod(annotations);
        let review = Review::of_pod(pod.clone()).in_namespace("shop");
        let settings = Settings::new("syncer:1");
        let answer = answer(&review, &settings, &Namespace::default()).unwrap();
        json_patch::patch(&mut pod, &answer.patch.unwrap()).unwrap();
        pod
    }

    #[test]
    fn an_injected_pod_names_the_version_that_injected_it() {
        let annotations = json!({"gitvolume.dev/repo": "https://git.example/x.git",
            "gitvolume.dev/secret": "git"});
        let fact = read(&injected(annotations)).unwrap();
        assert_eq!(fact.state, State::Injected);
        let settings = Settings::new("syncer:1");
        assert_eq!(fact.by, Some((settings.version.clone(), settings.hash())));
        assert_eq!(fact.secrets, ["git"]);
        assert!(!fact.is_converted && fact.mesh.is_none() && fact.git_repo.is_none());
    }

    #[test]
    fn an_annotated_pod_without_an_injection_is_missing_it() {
        let annotations = json!({"gitvolume.dev/repo": "https://git.example/x.git"});
        assert_eq!(
            read(&pod(annotations.clone())).unwrap().state,
            State::Missing
        );
        let mut over = pod(annotations);
        over["status"]["phase"] = json!("Succeeded");
        assert_eq!(read(&over), None);
    }

    #[test]
    fn a_selected_pod_without_annotations_and_injection_is_found() {
        let object = json!({
            "kind": "GitVolume", "metadata": {"name": "site", "namespace": "shop"},
            "spec": {"repo": "https://git.example/x.git"},
        });
        let namespace = Namespace {
            is_auto_injected: true,
            volumes: [Arc::new(inject::GitVolume::read(&object))].into(),
            ..Namespace::default()
        };
        let settings = Settings::new("syncer:1");
        let state = |pod: &Value| PodFact::read(pod, &settings, &namespace).map(|own| own.state);
        let annotations = json!({"gitvolume.dev/repo": "https://git.example/x.git"});
        assert_eq!(state(&pod(annotations)), Some(State::Missing));
        assert_eq!(state(&pod(json!({}))), Some(State::Unchosen));
    }

    #[test]
    fn an_injected_pod_with_changed_annotations_is_found() {
        let annotations = json!({"gitvolume.dev/repo": "https://git.example/x.git"});
        let mut pod = injected(annotations);
        pod["metadata"]["annotations"]["gitvolume.dev/ref"] = json!("v2");
        assert_eq!(read(&pod).unwrap().state, State::Changed);
    }

    #[test]
    fn a_pod_that_the_webhook_skipped_differs_from_one_that_it_never_received() {
        let repo = ("gitvolume.dev/repo", "ftp://git.example/x.git");
        let status = ("gitvolume.dev/status", "{\"refused\": \"no\"}");
        let annotations = json!({repo.0: repo.1, status.0: status.1});
        let state = read(&pod(annotations)).unwrap().state;
        assert_eq!(state, State::Refused("no".to_owned()));
        let out = json!({repo.0: repo.1, "gitvolume.dev/inject": "false"});
        assert_eq!(read(&pod(out)).unwrap().state, State::LetThrough);
        assert_eq!(read(&pod(json!({"x": "y"}))), None);
    }

    #[test]
    fn git_repo_volumes_are_found_before_and_after_their_conversion() {
        let mut plain = pod(json!({}));
        plain["spec"]["volumes"] =
            json!([{"name": "code", "gitRepo": {"repository": "https://git.example/x.git"}}]);
        plain["spec"]["containers"][0]["volumeMounts"] =
            json!([{"name": "code", "mountPath": "/code"}]);
        let fact = read(&plain).unwrap();
        assert_eq!(fact.git_repo.as_deref(), Some("code"));
        assert_eq!((fact.state, fact.is_converted), (State::Missing, false));
        let review = Review::of_pod(plain.clone()).in_namespace("shop");
        let settings = Settings::new("syncer:1");
        let answer = answer(&review, &settings, &Namespace::default()).unwrap();
        json_patch::patch(&mut plain, &answer.patch.unwrap()).unwrap();
        let fact = read(&plain).unwrap();
        assert_eq!(fact.git_repo, None);
        assert_eq!((fact.state, fact.is_converted), (State::Injected, true));
    }

    #[test]
    fn a_mesh_that_redirects_the_network_around_the_injected_container_is_found() {
        let annotations = json!({"gitvolume.dev/repo": "https://git.example/x.git"});
        let mut pod = injected(annotations);
        let inits = pod["spec"]["initContainers"].as_array_mut().unwrap();
        inits.insert(0, json!({"name": "istio-init"}));
        assert_eq!(read(&pod).unwrap().mesh, None, "a native sidecar, or none");
        let containers = pod["spec"]["containers"].as_array_mut().unwrap();
        containers.push(json!({"name": "istio-proxy", "image": "x"}));
        assert_eq!(read(&pod).unwrap().mesh, Some("Istio"));
        // With the CNI plugin the network is redirected before any container starts.
        pod["spec"]["initContainers"][0]["name"] = json!("istio-validation");
        assert_eq!(read(&pod).unwrap().mesh, Some("Istio"));
        let inits = pod["spec"]["initContainers"].as_array_mut().unwrap();
        let first = inits.remove(0);
        inits.push(first);
        assert_eq!(read(&pod).unwrap().mesh, None, "taken only after us");
    }
}
