//! What an object's status says about it: `Accepted`, `Effective` and `Shadowed`
//! (<https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties>).

use std::collections::BTreeMap;
use std::collections::HashMap;

use inject::GitVolume;
use inject::Kind;
use inject::Settings;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::coverage::Coverage;
use crate::namespaces::Model;
use crate::objects::Key;

/// The longest message; the API's own limit is 32768, and nobody reads as much.
const LONGEST: usize = 2048;

/// What objects' states are judged by, for all of them at a time.
pub(crate) struct Judgement<'a> {
    model: &'a Model,
    settings: &'a Settings,
    coverage: Coverage,
    by_name: HashMap<&'a str, Vec<&'a GitVolume>>,
}

/// A condition, but for the time since which it has been so.
struct Found {
    kind: &'static str,
    holds: bool,
    reason: &'static str,
    message: String,
}

impl<'a> Judgement<'a> {
    pub(crate) fn new(model: &'a Model, settings: &'a Settings, coverage: Coverage) -> Self {
        let mut by_name: HashMap<&str, Vec<&GitVolume>> = HashMap::new();
        for object in model.objects.values() {
            let volume = &*object.volume;
            by_name.entry(volume.name()).or_default().push(volume);
        }
        Self {
            model,
            settings,
            coverage,
            by_name,
        }
    }

    /// The conditions that an object should have, with those of others that it has; `None` where it
    /// has them.
    pub(crate) fn changed(&self, key: &Key, now: &Time) -> Option<Vec<Condition>> {
        let object = self.model.objects.get(key)?;
        let volume = &*object.volume;
        let mut conditions = object.told.clone();
        let mut is_changed = false;
        for found in self.found(volume) {
            let status = if found.holds { "True" } else { "False" };
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
                holds: true,
                reason: "Accepted",
                message: "it can be used".to_owned(),
            },
            Err(refusal) => Found {
                kind: "Accepted",
                holds: false,
                reason: "Invalid",
                message: refusal.to_string(),
            },
        }
    }

    /// Whether any Pod can get it without naming it.
    fn effective(&self, volume: &GitVolume) -> Found {
        let no = |reason, message| Found {
            kind: "Effective",
            holds: false,
            reason,
            message,
        };
        if volume.accepted(self.settings).is_err() {
            let message = "what is not accepted has no effect on any Pod".to_owned();
            return no("NotAccepted", message);
        }
        let holds = |message| Found {
            kind: "Effective",
            holds: true,
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
                if self.coverage.covers(name, labels) {
                    let message =
                        format!("Pods of namespace {name} that the podSelector takes get it");
                    return holds(message);
                }
                no(
                    "NamespaceNotCovered",
                    not_covered(name, self.coverage.missing(labels).as_deref()),
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
                let label = self.coverage.missing(&BTreeMap::new());
                let mut taken = std::iter::once(first).chain(taken);
                if taken.any(|(name, seen)| self.coverage.covers(name, &seen.labels)) {
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
                holds: false,
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
            holds: true,
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
        None => format!("auto-injection is never for namespace {name}"),
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
