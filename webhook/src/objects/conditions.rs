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
            accepted(volume),
            self.effective(volume),
            self.shadowed(volume),
        ]
    }

    /// Whether any Pod can get it without naming it.
    fn effective(&self, volume: &GitVolume) -> Found {
        let no = |reason, message| Found {
            kind: "Effective",
            holds: false,
            reason,
            message,
        };
        if volume.accepted().is_err() {
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
        let shadowed = volume.shadowed(rivals);
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

fn accepted(volume: &GitVolume) -> Found {
    match volume.accepted() {
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
mod tests {
    use super::*;
    use crate::namespaces::Seen;
    use crate::objects;
    use kube::api::DynamicObject;
    use serde_json::Value;
    use serde_json::json;

    /// What is known of a cluster with these namespaces (each with its labels) and objects.
    fn model(namespaces: &[(&str, Value)], seen: &[Value]) -> Model {
        let mut model = Model::default();
        for (name, labels) in namespaces {
            let mut labels: BTreeMap<String, String> =
                serde_json::from_value(labels.clone()).unwrap();
            labels.insert("kubernetes.io/metadata.name".into(), (*name).into());
            let namespace = Seen {
                labels,
                hands_out_users: false,
            };
            model.namespaces.insert((*name).to_owned(), namespace);
        }
        for object in seen {
            let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
            let kind = match object.metadata.namespace {
                Some(_) => Kind::GitVolume,
                None => Kind::ClusterGitVolume,
            };
            let (key, object) = objects::read(kind, object);
            model.objects.insert(key, object);
        }
        model
    }

    fn object(namespace: Option<&str>, name: &str, spec: Value) -> Value {
        json!({
            "metadata": {"name": name, "namespace": namespace, "generation": 3},
            "spec": spec,
        })
    }

    fn covered() -> Value {
        json!({"gitvolume.dev/auto-inject": "enabled"})
    }

    fn site() -> Value {
        json!({"repo": "https://git.example/site.git"})
    }

    /// Condition, whether it holds, reason and message of the object of this name.
    fn told(model: &Model, settings: &Settings, label: &str, name: &str) -> Vec<String> {
        let coverage: Coverage = label.parse().unwrap();
        let coverage = Coverage {
            never: vec!["kube-system".to_owned()],
            ..coverage
        };
        let judgement = Judgement::new(model, settings, coverage);
        let key = model.objects.keys().find(|key| key.name == name).unwrap();
        let now = Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH);
        let conditions = judgement.changed(key, &now).unwrap();
        assert!(
            conditions
                .iter()
                .all(|own| own.observed_generation == Some(3))
        );
        let line = |own: &Condition| {
            format!(
                "{}={} {}: {}",
                own.type_, own.status, own.reason, own.message
            )
        };
        conditions.iter().map(line).collect()
    }

    const LABEL: &str = "gitvolume.dev/auto-inject=enabled";

    #[test]
    fn the_missing_label_is_named() {
        let own = object(Some("shop"), "site", site());
        let other = object(None, "rules", site());
        let settings = Settings::new("syncer:1");
        let namespaces = [("shop", json!({})), ("kube-system", covered())];
        let bare = model(&namespaces, &[own.clone(), other.clone()]);
        assert_eq!(
            told(&bare, &settings, LABEL, "site"),
            [
                "Accepted=True Accepted: it can be used",
                "Effective=False NamespaceNotCovered: namespace shop has no label \
                 gitvolume.dev/auto-inject=enabled: only Pods that name it with gitvolume.dev/use \
                 get it; expected the label (kubectl label namespace shop \
                 gitvolume.dev/auto-inject=enabled)",
                "Shadowed=False NotShadowed: every field is heard",
            ]
        );
        assert_eq!(
            told(&bare, &settings, LABEL, "rules")[1],
            "Effective=False NamespaceNotCovered: no namespace that the namespaceSelector takes has \
             the label gitvolume.dev/auto-inject=enabled: only Pods that name it with \
             gitvolume.dev/use get it; expected the label on one (kubectl label namespace NAME \
             gitvolume.dev/auto-inject=enabled)"
        );
        let labelled = model(&[("shop", covered())], &[own.clone(), other.clone()]);
        for (model, label) in [(&labelled, LABEL), (&bare, "")] {
            for name in ["site", "rules"] {
                let told = told(model, &settings, label, name);
                assert!(
                    told[1].starts_with("Effective=True Covered: "),
                    "{}",
                    told[1]
                );
            }
        }
    }

    #[test]
    fn what_no_pod_can_get_is_not_effective() {
        let settings: Settings =
            serde_json::from_value(json!({"image": "syncer:1", "excludedNamespaces": ["team-*"]}))
                .unwrap();
        let selector = json!({"matchLabels": {"team": "web"}});
        let mut spec = site();
        spec["namespaceSelector"] = selector;
        let model = model(
            &[("team-shop", covered()), ("kube-system", covered())],
            &[
                object(Some("team-shop"), "site", site()),
                object(Some("kube-system"), "system", site()),
                object(None, "rules", spec),
                object(None, "wrong", json!({"repo": "nonsense"})),
            ],
        );
        let told = |name| told(&model, &settings, LABEL, name);
        assert_eq!(
            told("site")[1],
            "Effective=False NamespaceExcluded: the operator leaves the Pods of namespace \
             team-shop alone (excludedNamespaces)"
        );
        assert!(told("system")[1].starts_with("Effective=False NamespaceNotCovered"));
        assert_eq!(
            told("rules")[1],
            "Effective=False NoNamespace: the namespaceSelector takes no namespace"
        );
        let wrong = told("wrong");
        assert!(
            wrong[0].starts_with("Accepted=False Invalid: ClusterGitVolume wrong"),
            "{wrong:?}"
        );
        assert!(wrong[0].contains("expected"), "{wrong:?}");
        assert!(
            wrong[1].starts_with("Effective=False NotAccepted"),
            "{wrong:?}"
        );
    }

    #[test]
    fn a_field_that_is_not_heard_is_named_where_both_are_for_a_namespace() {
        let settings = Settings::new("syncer:1");
        let namespaces = [("shop", covered()), ("bank", json!({}))];
        let own = |namespace| object(Some(namespace), "site", site());
        let mut spec = site();
        spec["namespaceSelector"] = json!({"matchLabels": {"kubernetes.io/metadata.name": "shop"}});
        let cluster = object(None, "site", spec);
        let met = model(&namespaces, &[own("shop"), cluster.clone()]);
        // Those of no namespace come first.
        assert_eq!(
            told(&met, &settings, LABEL, "site")[2],
            "Shadowed=True Shadowed: spec.repo: that of GitVolume shop/site is heard"
        );
        let apart = model(&namespaces, &[own("bank"), cluster]);
        assert!(told(&apart, &settings, LABEL, "site")[2].starts_with("Shadowed=False"));
    }

    #[test]
    fn what_is_told_already_is_not_told_again_and_others_conditions_stay() {
        let settings = Settings::new("syncer:1");
        let others = json!([{
            "type": "Reviewed", "status": "True", "reason": "Somebody", "message": "",
            "lastTransitionTime": "2020-01-01T00:00:00Z",
        }]);
        let mut site = object(Some("shop"), "site", site());
        site["status"] = json!({"conditions": others});
        let coverage: Coverage = LABEL.parse().unwrap();
        let early = Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH);
        let late = Time("2026-01-01T00:00:00Z".parse().unwrap());
        let conditions = |site: &Value, labels: Value, now: &Time| {
            let model = model(&[("shop", labels)], std::slice::from_ref(site));
            let key = model.objects.keys().next().unwrap().clone();
            Judgement::new(&model, &settings, coverage.clone()).changed(&key, now)
        };
        let first = conditions(&site, json!({}), &early).unwrap();
        assert_eq!(first.len(), 4);
        assert_eq!(first[0].type_, "Reviewed");

        site["status"] = json!({"conditions": first});
        assert_eq!(conditions(&site, json!({}), &late), None, "it is told");

        let second = conditions(&site, covered(), &late).unwrap();
        let since = |kind: &str| {
            let own = second.iter().find(|own| own.type_ == kind).unwrap();
            own.last_transition_time.clone()
        };
        assert_eq!(since("Effective"), late, "it has changed");
        assert_eq!(since("Accepted"), early, "it has not");
        assert_eq!(second.len(), 4);
    }
}
