//! What a Pod tells about its injection.

use std::collections::BTreeMap;
use std::sync::Arc;

use inject::Namespace;
use inject::Outcome;
use inject::PREFIX;
use inject::Review;
use inject::Role;
use inject::Settings;
use inject::SkipReason;
use inject::answer;
use jiff::Timestamp;
use serde_json::Value;

use super::facts::Workload;
use super::facts::text;
use super::mesh::MESHES;
use super::syncer::Syncer;
use crate::cli::live::known::texts;

/// A Pod that has to do with us.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PodFact {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What makes it.
    pub owner: Option<Workload>,
    /// When it was made, as the API server writes times.
    pub created: String,
    /// `Pending` or `Running`.
    pub phase: String,
    /// How it stands.
    pub state: State,
    /// Version and configuration of who injected it; empty where the status is unreadable.
    pub by: Option<(String, String)>,
    /// A gitRepo volume that is still one.
    pub git_repo: Option<String>,
    /// Whether volumes of it were gitRepo volumes.
    pub is_converted: bool,
    /// A service mesh that has taken its network and whose proxy starts only after our container.
    pub mesh: Option<&'static str>,
    /// Our container that it waits for, or that ends again and again.
    pub syncer: Option<Syncer>,
    /// The Secrets that its annotations name.
    pub secrets: Vec<String>,
}

/// How it stands with a Pod's injection.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum State {
    /// It has what it asks for, or other content of ours.
    #[default]
    Injected,
    /// It has a container of ours, and what it would get now is something else.
    Changed,
    /// It asks for something that it does not have.
    Missing,
    /// It asks for nothing, and an object is for it.
    Unchosen,
    /// It was admitted without, because of this mistake.
    Refused(String),
    /// It was let through on purpose.
    LetThrough,
}

/// How many seconds a Pod may wait before that is told: an image is pulled by then and most
/// repositories are cloned.
pub const PATIENCE: i64 = 120;

impl PodFact {
    /// Reads a Pod; `None` where it has nothing to do with us, or is over.
    pub fn read(pod: &Value, settings: &Settings, namespace: &Namespace) -> Option<Self> {
        let is_over = matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
        if is_over || pod.pointer("/metadata/deletionTimestamp").is_some() {
            return None;
        }
        let annotations = texts(&pod["metadata"]["annotations"]);
        let status = annotations.get(&format!("{PREFIX}status"));
        let status = status.map(|text| serde_json::from_str::<Value>(text).unwrap_or_default());
        let mut volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
        let git_repo = volumes.find(|volume| volume.get("gitRepo").is_some());
        let has_ours = has_ours(pod);
        let ns = text(pod, "/metadata/namespace");
        let review = Review::of_pod(pod.clone()).in_namespace(ns);
        let outcome = |namespace: &Namespace| {
            // What we cannot read, the API server took.
            let answer = answer(&review, settings, namespace).ok();
            answer.map(|answer| answer.outcome)
        };
        let outcome_now = outcome(namespace);
        let is_wanting = is_wanting(outcome_now.as_ref());
        // Without the objects: what it asks for by itself.
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
        let said = |key: &str| {
            let said = status.as_ref()?.get(key)?.as_str()?;
            Some(said.to_owned()).filter(|said| !said.is_empty())
        };
        let state = if has_ours && is_wanting {
            State::Changed
        } else if has_ours {
            State::Injected
        } else if let Some(mistake) = said("refused") {
            State::Refused(mistake)
        } else if is_asking && said("skipped").is_none() {
            State::Missing
        } else if is_wanting && said("skipped").is_none() {
            State::Unchosen
        } else {
            State::LetThrough
        };
        let by = status.as_ref().filter(|_| has_ours).map(|_| {
            (
                said("version").unwrap_or_default(),
                said("config").unwrap_or_default(),
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
        })
    }

    /// For how many seconds it has been there; `None` where it is so new that nothing is odd about
    /// its waiting.
    pub fn waits(&self, now: i64) -> Option<i64> {
        age(&self.created, now).filter(|age| *age >= PATIENCE)
    }

    /// How a person calls what would be made again to make this Pod again.
    pub fn made_by(&self) -> Workload {
        self.owner.clone().unwrap_or_else(|| Workload {
            kind: "Pod".to_owned(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        })
    }
}

/// How many seconds ago a time was; `None` where it is none.
pub fn age(time: &str, now: i64) -> Option<i64> {
    let time: Timestamp = time.parse().ok()?;
    Some(now - time.as_second())
}

/// Tells whether a Pod would be changed or refused.
fn is_wanting(outcome: Option<&Outcome>) -> bool {
    matches!(outcome, Some(Outcome::Inject(_) | Outcome::Deny(_)))
}

/// What controls an object.
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

/// Tells whether a container has a name of ours.
pub fn is_ours(name: &str) -> bool {
    Role::ALL.iter().any(|role| role.container() == name)
}

fn has_ours(pod: &Value) -> bool {
    names(pod, "initContainers").into_iter().any(is_ours)
}

fn mesh(pod: &Value) -> Option<&'static str> {
    let inits = names(pod, "initContainers");
    let containers = names(pod, "containers");
    let ours = inits.iter().position(|name| is_ours(name))?;
    let is_before = |init: &&str| inits[..ours].contains(init);
    let mesh = MESHES
        .iter()
        .find(|mesh| mesh.inits.iter().any(is_before) && containers.contains(&mesh.proxy))?;
    Some(mesh.name)
}

fn secrets(annotations: &BTreeMap<String, String>) -> Vec<String> {
    let ours = annotations
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, value)));
    let named = ours.filter(|(key, _)| *key == "secret" || key.ends_with(".secret"));
    named.map(|(_, value)| value.trim().to_owned()).collect()
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
    fn an_injected_pod_says_by_whom() {
        let asked = json!({"gitvolume.dev/repo": "https://git.example/x.git",
            "gitvolume.dev/secret": "git"});
        let fact = read(&injected(asked)).unwrap();
        assert_eq!(fact.state, State::Injected);
        let settings = Settings::new("syncer:1");
        assert_eq!(fact.by, Some((settings.version.clone(), settings.hash())));
        assert_eq!(fact.secrets, ["git"]);
        assert!(!fact.is_converted && fact.mesh.is_none() && fact.git_repo.is_none());
    }

    #[test]
    fn a_pod_that_asks_and_has_nothing_lacks_it() {
        let asked = json!({"gitvolume.dev/repo": "https://git.example/x.git"});
        assert_eq!(read(&pod(asked.clone())).unwrap().state, State::Missing);
        let mut over = pod(asked);
        over["status"]["phase"] = json!("Succeeded");
        assert_eq!(read(&over), None);
    }

    #[test]
    fn a_pod_that_an_object_is_for_lacks_it_without_having_asked() {
        let object = json!({
            "kind": "GitVolume", "metadata": {"name": "site", "namespace": "shop"},
            "spec": {"repo": "https://git.example/x.git"},
        });
        let namespace = Namespace {
            is_covered: true,
            volumes: [Arc::new(inject::GitVolume::read(&object))].into(),
            ..Namespace::default()
        };
        let settings = Settings::new("syncer:1");
        let state = |pod: &Value| PodFact::read(pod, &settings, &namespace).map(|own| own.state);
        let asked = json!({"gitvolume.dev/repo": "https://git.example/x.git"});
        assert_eq!(state(&pod(asked)), Some(State::Missing));
        assert_eq!(state(&pod(json!({}))), Some(State::Unchosen));
    }

    #[test]
    fn an_injected_pod_whose_annotations_were_changed_is_another() {
        let asked = json!({"gitvolume.dev/repo": "https://git.example/x.git"});
        let mut pod = injected(asked);
        pod["metadata"]["annotations"]["gitvolume.dev/ref"] = json!("v2");
        assert_eq!(read(&pod).unwrap().state, State::Changed);
    }

    #[test]
    fn what_the_webhook_let_through_is_told_from_what_it_never_saw() {
        let repo = ("gitvolume.dev/repo", "ftp://git.example/x.git");
        let status = ("gitvolume.dev/status", "{\"refused\": \"no\"}");
        let asked = json!({repo.0: repo.1, status.0: status.1});
        let state = read(&pod(asked)).unwrap().state;
        assert_eq!(state, State::Refused("no".to_owned()));
        let out = json!({repo.0: repo.1, "gitvolume.dev/inject": "false"});
        assert_eq!(read(&pod(out)).unwrap().state, State::LetThrough);
        assert_eq!(read(&pod(json!({"x": "y"}))), None);
    }

    #[test]
    fn git_repo_volumes_are_seen_before_and_after_their_conversion() {
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
    fn a_mesh_that_takes_the_network_before_us_and_gives_it_back_after_us_is_seen() {
        let asked = json!({"gitvolume.dev/repo": "https://git.example/x.git"});
        let mut pod = injected(asked);
        let inits = pod["spec"]["initContainers"].as_array_mut().unwrap();
        inits.insert(0, json!({"name": "istio-init"}));
        assert_eq!(read(&pod).unwrap().mesh, None, "a native sidecar, or none");
        let containers = pod["spec"]["containers"].as_array_mut().unwrap();
        containers.push(json!({"name": "istio-proxy", "image": "x"}));
        assert_eq!(read(&pod).unwrap().mesh, Some("Istio"));
        // With the CNI plugin the network is taken before any container starts.
        pod["spec"]["initContainers"][0]["name"] = json!("istio-validation");
        assert_eq!(read(&pod).unwrap().mesh, Some("Istio"));
        let inits = pod["spec"]["initContainers"].as_array_mut().unwrap();
        let first = inits.remove(0);
        inits.push(first);
        assert_eq!(read(&pod).unwrap().mesh, None, "taken only after us");
    }
}
