//! What was seen of a cluster; nothing is judged here.

use std::collections::BTreeMap;

use serde_json::Value;

use super::pods::PodFact;
use crate::cli::live::installed::AUTO;
use crate::cli::live::installed::PODS;
use crate::cli::live::installed::entries;
use crate::cli::live::known::Known;
use crate::readiness::Readiness;

/// What was seen. `None` is what could not be looked at: then `unseen` says so, and nothing is
/// concluded from it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Now, as a Unix time.
    pub now: i64,
    /// A minute ago, as the API server writes times.
    pub minute_ago: String,
    /// An hour ago, as the API server writes times.
    pub hour_ago: String,
    /// The version of this program.
    pub own_version: String,
    /// The installations, one for each registration of ours.
    pub installs: Option<Vec<Install>>,
    /// The MutatingWebhookConfigurations of others.
    pub others: Vec<Value>,
    /// What became of a trial Pod.
    pub trial: Option<Trial>,
    /// The guards.
    pub guards: Option<Vec<Guard>>,
    /// GitVolumes and ClusterGitVolumes.
    pub objects: Vec<Value>,
    /// The namespaces.
    pub known: Known,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The Pods that have to do with us, and are not over.
    pub pods: Vec<PodFact>,
    /// Events of controllers that could not make a Pod because of us.
    pub events: Vec<Value>,
    /// Workloads with annotations beside their template, and what is to be said of them.
    pub misplaced: Vec<(Workload, String)>,
    /// The Secrets that annotations name, where they were looked at.
    pub secrets: Vec<SecretFact>,
    /// What could not be looked at, and why.
    pub unseen: Vec<(String, String)>,
    /// How many of what were looked at.
    pub seen: BTreeMap<&'static str, usize>,
}

/// One registration and what stands behind it.
#[derive(Clone, Debug, Default)]
pub struct Install {
    /// The MutatingWebhookConfiguration.
    pub registration: Value,
    /// Namespace and name of the Service that it names.
    pub service: Option<(String, String)>,
    /// Whether that Service is there.
    pub has_service: Option<bool>,
    /// Its endpoints: how many are ready, and how many are not.
    pub endpoints: Option<(usize, usize)>,
    /// The replicas.
    pub replicas: Vec<Replica>,
    /// `ca.crt` of the Secret with the CA, where it was looked at.
    pub ca_secret: Option<String>,
}

/// A Pod of the webhook's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replica {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The image that it runs.
    pub image: String,
    /// What it says of itself, where it was asked.
    pub readiness: Option<Readiness>,
}

/// What became of a trial Pod, in a server-side dry run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trial {
    /// It was admitted; with the version and the configuration that its status annotation names,
    /// where it has one.
    Admitted(Option<(String, String)>),
    /// It was refused, by this message.
    Refused(String),
}

/// A ValidatingAdmissionPolicy of ours.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// The policy.
    pub policy: Value,
    /// The actions of its bindings; `None` where those could not be looked at.
    pub actions: Option<Vec<Vec<String>>>,
}

/// A node.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// `linux` or `windows`.
    pub os: String,
    /// Its kubelet's version.
    pub kubelet: String,
}

/// An object by its kind and name.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Workload {
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A Secret that an annotation names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SecretFact {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// A Pod whose annotation names it.
    pub pod: String,
    /// Its keys; `None` where there is no such Secret.
    pub keys: Option<Vec<String>>,
}

impl Install {
    /// Its name.
    pub fn name(&self) -> &str {
        text(&self.registration, "/metadata/name")
    }

    /// Its webhooks.
    pub fn entries(&self) -> impl Iterator<Item = &Value> {
        entries(&self.registration)
    }

    /// The webhook that Pods with annotations are sent to.
    pub fn pods_entry(&self) -> Option<&Value> {
        self.entries().find(|entry| entry["name"] == PODS)
    }

    /// The webhook of auto-injection.
    pub fn auto_entry(&self) -> Option<&Value> {
        self.entries().find(|entry| entry["name"] == AUTO)
    }
}

/// When an event was seen last, as the API server writes times.
pub fn when(event: &Value) -> &str {
    match text(event, "/lastTimestamp") {
        "" => text(event, "/eventTime"),
        when => when,
    }
}

/// A text of a document, empty where there is none.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    let text = value.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default()
}
