//! What an object's status says about it: `Accepted`, `Effective` and `Shadowed`
//! (<https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties>).

use std::collections::BTreeMap;
use std::collections::HashMap;

use inject::GitVolume;
use inject::Kind;
use inject::Settings;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::coverage::AutoInjection;
use crate::namespaces::Model;
use crate::objects::Key;
use crate::registration::AUTO;

/// The longest message; the API's own limit is 32768, and nobody reads as much.
const LONGEST: usize = 2048;

/// What objects' states are judged by, for all of them at a time.
pub(crate) struct Judgement<'a> {
    model: &'a Model,
    settings: &'a Settings,
    auto_injection: AutoInjection,
    by_name: HashMap<&'a str, Vec<&'a GitVolume>>,
}

/// A condition, but for the time since which it has been so.
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

    /// The conditions that an object should have, with those of others that it has; `None` where it
    /// has them.
    pub(crate) fn changed(&self, key: &Key, now: &Time) -> Option<Vec<Condition>> {
        let object = self.model.objects.get(key)?;
        let volume = &*object.volume;
        let mut conditions = object.told.clone();
        let mut is_changed = object.observed_generation != volume.generation();
        for found in self.found(volume) {
            let status = found.status;
            let told = conditions.iter().find(|told| told.type_ == found.kind);
            let since = told.filter(|told| told.status == status);
            let since = since.map(|told| told.last_transition_time.clone());
            let condition = Condition {
                last_transition_time: since.unwrap_or_else(|| now.clone()),
                message: short(found.message),
                observed_generation: volume.generation(),
                reason: found.reason.to_owned(),
                status: status.to_owned(),
                type_: found.kind.to_owned(),
            };
            if told == Some(&condition) {
                continue;
            }
            is_changed = true;
            conditions.retain(|told| told.type_ != found.kind);
            conditions.push(condition);
        }
        is_changed.then_some(conditions)
    }

    fn found(&self, volume: &GitVolume) -> [Found; 3] {
        [
            self.accepted(volume),
            self.effective(volume),
            self.shadowed(volume),
        ]
    }

    /// Whether it can be used.
    fn accepted(&self, volume: &GitVolume) -> Found {
        match volume.accepted(self.settings) {
            Ok(()) => Found {
                kind: "Accepted",
                status: "True",
                reason: "Accepted",
                message: "it can be used".to_owned(),
            },
            Err(refusal) => Found {
                kind: "Accepted",
                status: "False",
                reason: "Invalid",
                message: refusal.to_string(),
            },
        }
    }

    /// Whether any Pod can get it without naming it.
    fn effective(&self, volume: &GitVolume) -> Found {
        let no = |reason, message| Found {
            kind: "Effective",
            status: "False",
            reason,
            message,
        };
        if volume.accepted(self.settings).is_err() {
            let message = "what is not accepted has no effect on any Pod".to_owned();
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
                let message = "the webhook cannot read its registration, which has the namespaces \
                               of auto-injection";
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
                        "the operator leaves the Pods of namespace {name} alone \
                         (excludedNamespaces)"
                    );
                    return no("NamespaceExcluded", message);
                }
                if coverage.covers(labels) {
                    let message =
                        format!("Pods of namespace {name} that the podSelector takes get it");
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
                    let message = "the namespaceSelector takes no namespace".to_owned();
                    return no("NoNamespace", message);
                };
                let label = coverage.missing(&BTreeMap::new());
                let mut taken = std::iter::once(first).chain(taken);
                if taken.any(|(_, seen)| coverage.covers(&seen.labels)) {
                    let message = match label {
                        Some(label) => format!(
                            "Pods that the podSelector takes get it in each namespace that the \
                             namespaceSelector takes and that has the label {label}"
                        ),
                        None => "Pods that the podSelector takes get it in each namespace that \
                                 the namespaceSelector takes"
                            .to_owned(),
                    };
                    return holds(message);
                }
                let message = match label {
                    Some(label) => format!(
                        "no namespace that the namespaceSelector takes has the label {label}: \
                         only Pods that name it with gitvolume.dev/use get it; expected the label \
                         on one (kubectl label namespace NAME {label})"
                    ),
                    None => "auto-injection is for none of the namespaces that the \
                             namespaceSelector takes"
                        .to_owned(),
                };
                no("NamespaceNotCovered", message)
            }
        }
    }

    /// Which of its fields another object's are heard in place of.
    fn shadowed(&self, volume: &GitVolume) -> Found {
        let rivals = self.by_name.get(volume.name()).into_iter().flatten();
        let rivals = rivals.copied().filter(|other| self.meet(volume, other));
        let shadowed = volume.shadowed(rivals, self.settings);
        if shadowed.is_empty() {
            return Found {
                kind: "Shadowed",
                status: "False",
                reason: "NotShadowed",
                message: "every field is heard".to_owned(),
            };
        }
        let fields = shadowed
            .iter()
            .map(|own| format!("spec.{}: that of {} is heard", own.field, own.by));
        let fields: Vec<String> = fields.collect();
        Found {
            kind: "Shadowed",
            status: "True",
            reason: "Shadowed",
            message: fields.join("; "),
        }
    }

    /// Whether two objects are for a common namespace.
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
