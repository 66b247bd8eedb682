//! The facts that were read from a cluster, without any judgement.

use std::collections::BTreeMap;

use serde_json::Value;

use super::cache::CacheFact;
use super::pods::PodFact;
use crate::commands::doctor::pods::Workload;
use crate::commands::doctor::value::text;
use crate::live::installed::AUTO;
use crate::live::installed::PODS;
use crate::live::installed::entries;
use crate::live::known::Known;
use webhook::server::readiness::Readiness;

/// The facts of a cluster. `None` is a fact that could not be read: `unseen` has the reason, and no
/// conclusion is drawn from it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The current time, as Unix time in seconds.
    pub now: i64,
    /// The time a minute ago, in the API server's format.
    pub minute_ago: String,
    /// The time an hour ago, in the API server's format.
    pub hour_ago: String,
    /// The version of this program.
    pub own_version: String,
    /// The installations, one per registration of gitvolume.
    pub installs: Option<Vec<Install>>,
    /// MutatingWebhookConfigurations that are not gitvolume's.
    pub others: Vec<Value>,
    /// The pull-through caches of the webhook's settings.
    pub caches: Vec<CacheFact>,
    /// The outcome of the trial Pod, a server-side dry run.
    pub trial: Option<Trial>,
    /// The guards (ValidatingAdmissionPolicies).
    pub guards: Option<Vec<Guard>>,
    /// GitVolumes and ClusterGitVolumes.
    pub objects: Vec<Value>,
    /// The namespaces.
    pub known: Known,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// Pods that use gitvolume and have not ended.
    pub pods: Vec<PodFact>,
    /// Events of controllers that failed to create a Pod because of gitvolume.
    pub events: Vec<Value>,
    /// Workloads with annotations outside their Pod template, and the message for each.
    pub misplaced: Vec<(Workload, String)>,
    /// The Secrets that annotations name, if they were read.
    pub secrets: Vec<SecretFact>,
    /// The parts that could not be read, each with the reason.
    pub unseen: Vec<(String, String)>,
    /// The number of objects read, by kind.
    pub seen: BTreeMap<&'static str, usize>,
}

/// A registration and the components behind it.
#[derive(Clone, Debug, Default)]
pub struct Install {
    /// The MutatingWebhookConfiguration.
    pub registration: Value,
    /// Namespace and name of the Service that it names.
    pub service: Option<(String, String)>,
    /// Whether that Service exists.
    pub has_service: Option<bool>,
    /// The numbers of ready and of not ready endpoints.
    pub endpoints: Option<(usize, usize)>,
    /// The replicas.
    pub replicas: Vec<Replica>,
    /// `ca.crt` of the Secret with the CA, if it was read.
    pub ca_secret: Option<String>,
}

/// A Pod of the webhook.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replica {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The image that it runs.
    pub image: String,
    /// The content of its `/readyz`, if it was requested.
    pub readiness: Option<Readiness>,
}

/// The outcome of the trial Pod, a server-side dry run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trial {
    /// It was admitted, with the version and the configuration in its status annotation, if it has
    /// one.
    Admitted(Option<(String, String)>),
    /// It was rejected, with this message.
    Refused(String),
}

/// A ValidatingAdmissionPolicy of gitvolume.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// The policy.
    pub policy: Value,
    /// The actions of its bindings; `None` if the bindings could not be read.
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

/// A Secret that an annotation names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SecretFact {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// A Pod with that annotation.
    pub pod: String,
    /// Its keys; `None` if the Secret does not exist.
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

    /// The webhook for Pods with annotations.
    pub fn pods_entry(&self) -> Option<&Value> {
        self.entries().find(|entry| entry["name"] == PODS)
    }

    /// The webhook of auto-injection.
    pub fn auto_entry(&self) -> Option<&Value> {
        self.entries().find(|entry| entry["name"] == AUTO)
    }
}
