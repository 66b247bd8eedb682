//! The conditions of an object's status: `Ready`, `Stalled`, `Accepted`, `Effective` and `Shadowed`
//! (<https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties>).

use std::collections::BTreeMap;
use std::collections::HashMap;

use inject::GitVolume;
use inject::Kind;
use inject::Settings;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::cluster::coverage::AutoInjection;
use crate::cluster::namespaces::Model;
use crate::cluster::objects::object::Key;
use crate::cluster::registration::AUTO;

/// Maximum length of a message in characters. The API's own limit is 32768, too long to read.
const LONGEST: usize = 2048;

/// The input from which the conditions of all objects are computed.
pub(crate) struct Judgement<'a> {
    model: &'a Model,
    settings: &'a Settings,
    auto_injection: AutoInjection,
    by_name: HashMap<&'a str, Vec<&'a GitVolume>>,
}

/// A condition without its `lastTransitionTime`.
struct Found {
    kind: &'static str,
    /// `True`, `False` or `Unknown`.
    status: &'static str,
    reason: &'static str,
    message: String,
}

impl<'a> Judgement<'a> {
    pub(crate) fn new(
        model: &'a Model,
        settings: &'a Settings,
        auto_injection: AutoInjection,
    ) -> Self {
        let mut by_name: HashMap<&str, Vec<&GitVolume>> = HashMap::new();
        for object in model.objects.values() {
            let volume = &*object.volume;
            by_name.entry(volume.name()).or_default().push(volume);
        }
        Self {
            model,
            settings,
            auto_injection,
            by_name,
        }
    }

    /// The conditions that an object should have, together with those that other controllers set;
    /// `None` if the object already has them.
    pub(crate) fn changed(&self, key: &Key, now: &Time) -> Option<Vec<Condition>> {
        let object = self.model.objects.get(key)?;
        let volume = &*object.volume;
        let mut conditions = object.told.clone();
        let mut is_changed = object.observed_generation != volume.generation();
        for found in self.found(volume) {
            let status = found.status;
            let present = conditions
                .iter()
                .find(|present| present.type_ == found.kind);
            let since = present.filter(|present| present.status == status);
            let since = since.map(|present| present.last_transition_time.clone());
            let condition = Condition {
                last_transition_time: since.unwrap_or_else(|| now.clone()),
                message: short(found.message),
                observed_generation: volume.generation(),
                reason: found.reason.to_owned(),
                status: status.to_owned(),
                type_: found.kind.to_owned(),
            };
            if present == Some(&condition) {
                continue;
            }
            is_changed = true;
            conditions.retain(|present| present.type_ != found.kind);
            conditions.push(condition);
        }
        is_changed.then_some(conditions)
    }

    fn found(&self, volume: &GitVolume) -> [Found; 5] {
        let [ready, stalled, accepted] = self.accepted(volume);
        [
            accepted,
            self.effective(volume),
            self.shadowed(volume),
            ready,
            stalled,
        ]
    }

    /// `Accepted`: whether the object can be used. `Ready` is the same, under the name that kstatus
    /// and Argo CD know; not `Effective`, since an object may wait for the label of a namespace.
    /// `Stalled` ends a wait for `Ready`: an invalid spec does not become valid by itself.
    fn accepted(&self, volume: &GitVolume) -> [Found; 3] {
        let (ready, stalled, reason, message) = match volume.accepted(self.settings) {
            Ok(()) => ("True", "False", "Accepted", "the spec is valid".to_owned()),
            Err(refusal) => ("False", "True", "Invalid", refusal.to_string()),
        };
        [("Ready", ready), ("Stalled", stalled), ("Accepted", ready)].map(|(kind, status)| Found {
            kind,
            status,
            reason,
            message: message.clone(),
        })
    }

    /// `Effective`: whether any Pod gets the object without naming it.
    fn effective(&self, volume: &GitVolume) -> Found {
        let no = |reason, message| Found {
            kind: "Effective",
            status: "False",
            reason,
            message,
        };
        if volume.accepted(self.settings).is_err() {
            let message = "the object is not accepted, so it has no effect on any Pod".to_owned();
            return no("NotAccepted", message);
        }
        let coverage = match &self.auto_injection {
            AutoInjection::Registered(coverage) => coverage,
            AutoInjection::Unregistered => {
                let message = format!(
                    "the webhook's registration has no entry {AUTO}: only Pods that name it with \
                     gitvolume.dev/use get it"
                );
                return no("NotRegistered", message);
            }
            AutoInjection::Unread | AutoInjection::Unreadable => {
                let message = "the webhook cannot read its registration, which sets the namespaces of auto-injection";
                return Found {
                    kind: "Effective",
                    status: "Unknown",
                    reason: "RegistrationUnreadable",
                    message: message.to_owned(),
                };
            }
        };
        let holds = |message| Found {
            kind: "Effective",
            status: "True",
            reason: "Covered",
            message,
        };
        match volume.namespace() {
            Some(name) => {
                let unseen = BTreeMap::new();
                let seen = self.model.namespaces.get(name);
                let labels = seen.map_or(&unseen, |seen| &seen.labels);
                if self.settings.excludes(name) {
                    let message = format!(
                        "the operator excludes the Pods of namespace {name} (excludedNamespaces)"
                    );
                    return no("NamespaceExcluded", message);
                }
                if coverage.covers(labels) {
                    let message =
                        format!("Pods of namespace {name} that the podSelector matches get it");
                    return holds(message);
                }
                no(
                    "NamespaceNotCovered",
                    not_covered(name, coverage.missing(labels).as_deref()),
                )
            }
            None => {
                let mut taken = self.model.namespaces.iter().filter(|(name, seen)| {
                    !self.settings.excludes(name) && volume.covers(name, &seen.labels)
                });
                let Some(first) = taken.next() else {
                    let message = "the namespaceSelector matches no namespace".to_owned();
                    return no("NoNamespace", message);
                };
                let label = coverage.missing(&BTreeMap::new());
                let mut taken = std::iter::once(first).chain(taken);
                if taken.any(|(_, seen)| coverage.covers(&seen.labels)) {
                    let message = match label {
                        Some(label) => format!(
                            "Pods that the podSelector matches get it in each namespace that the namespaceSelector matches and that has the label {label}"
                        ),
                        None => "Pods that the podSelector matches get it in each namespace that the namespaceSelector matches"
                            .to_owned(),
                    };
                    return holds(message);
                }
                let message = match label {
                    Some(label) => format!(
                        "no namespace that the namespaceSelector matches has the label {label}: \
                         only Pods that name it with gitvolume.dev/use get it; expected the label \
                         on one (kubectl label namespace NAME {label})"
                    ),
                    None => "auto-injection covers none of the namespaces that the namespaceSelector matches"
                        .to_owned(),
                };
                no("NamespaceNotCovered", message)
            }
        }
    }

    /// `Shadowed`: the fields that another object overrides.
    fn shadowed(&self, volume: &GitVolume) -> Found {
        let rivals = self.by_name.get(volume.name()).into_iter().flatten();
        let rivals = rivals.copied().filter(|other| self.meet(volume, other));
        let shadowed = volume.shadowed(rivals, self.settings);
        if shadowed.is_empty() {
            return Found {
                kind: "Shadowed",
                status: "False",
                reason: "NotShadowed",
                message: "no field is overridden".to_owned(),
            };
        }
        let fields = shadowed
            .iter()
            .map(|own| format!("spec.{}: overridden by {}", own.field, own.by));
        let fields: Vec<String> = fields.collect();
        Found {
            kind: "Shadowed",
            status: "True",
            reason: "Shadowed",
            message: fields.join("; "),
        }
    }

    /// Whether two objects apply to a common namespace.
    fn meet(&self, one: &GitVolume, other: &GitVolume) -> bool {
        let (namespaced, cluster) = match (one.kind(), other.kind()) {
            (Kind::GitVolume, Kind::ClusterGitVolume) => (one, other),
            (Kind::ClusterGitVolume, Kind::GitVolume) => (other, one),
            (Kind::GitVolume, Kind::GitVolume) => return one.namespace() == other.namespace(),
            (Kind::ClusterGitVolume, Kind::ClusterGitVolume) => return true,
        };
        let name = namespaced.namespace().unwrap_or_default();
        let seen = self.model.namespaces.get(name);
        seen.is_some_and(|seen| cluster.covers(name, &seen.labels))
    }
}

fn not_covered(name: &str, label: Option<&str>) -> String {
    match label {
        Some(label) => format!(
            "namespace {name} has no label {label}: only Pods that name it with gitvolume.dev/use \
             get it; expected the label (kubectl label namespace {name} {label})"
        ),
        None => format!(
            "the namespaceSelector of auto-injection does not select namespace {name}: only Pods \
             that name it with gitvolume.dev/use get it"
        ),
    }
}

fn short(message: String) -> String {
    match message.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}

#[cfg(test)]
mod tests;
