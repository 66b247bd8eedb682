use std::collections::BTreeSet;

use super::*;
use crate::cluster::coverage::Coverage;
use crate::cluster::namespaces::Seen;
use crate::cluster::objects;
use kube::api::DynamicObject;
use kube::core::Expression;
use serde_json::Value;
use serde_json::json;

/// The model of a cluster with these namespaces (each with its labels) and objects.
fn model(namespaces: &[(&str, Value)], seen: &[Value]) -> Model {
    let mut model = Model::default();
    for (name, labels) in namespaces {
        let mut labels: BTreeMap<String, String> = serde_json::from_value(labels.clone()).unwrap();
        labels.insert("kubernetes.io/metadata.name".into(), (*name).into());
        let namespace = Seen {
            labels: std::sync::Arc::new(labels),
            has_uid_range: false,
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

/// The conditions of the object of this name, as `TYPE=STATUS REASON: MESSAGE`.
fn condition_lines(model: &Model, settings: &Settings, label: &str, name: &str) -> Vec<String> {
    condition_lines_with(model, settings, registered(label), name)
}

/// The chart's entry for auto-injection: for namespaces with this label, or for all.
fn registered(label: &str) -> AutoInjection {
    let system = BTreeSet::from(["kube-system".to_owned()]);
    let never = Expression::NotIn("kubernetes.io/metadata.name".to_owned(), system);
    let label = label.split_once('=');
    let label = label.map(|(key, value)| Expression::Equal(key.to_owned(), value.to_owned()));
    AutoInjection::Registered(Coverage {
        selector: label.into_iter().chain([never]).collect(),
    })
}

fn condition_lines_with(
    model: &Model,
    settings: &Settings,
    auto_injection: AutoInjection,
    name: &str,
) -> Vec<String> {
    let judgement = Judgement::new(model, settings, auto_injection);
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
        condition_lines(&bare, &settings, LABEL, "site"),
        [
            "Accepted=True Accepted: the spec is valid",
            "Effective=False NamespaceNotCovered: namespace shop has no label \
             gitvolume.dev/auto-inject=enabled: only Pods that name it with gitvolume.dev/use \
             get it; expected the label (kubectl label namespace shop \
             gitvolume.dev/auto-inject=enabled)",
            "Shadowed=False NotShadowed: no field is overridden",
            "Ready=True Accepted: the spec is valid",
            "Stalled=False Accepted: the spec is valid",
        ]
    );
    assert_eq!(
        condition_lines(&bare, &settings, LABEL, "rules")[1],
        "Effective=False NamespaceNotCovered: no namespace that the namespaceSelector matches has \
         the label gitvolume.dev/auto-inject=enabled: only Pods that name it with \
         gitvolume.dev/use get it; expected the label on one (kubectl label namespace NAME \
         gitvolume.dev/auto-inject=enabled)"
    );
    let labelled = model(&[("shop", covered())], &[own.clone(), other.clone()]);
    for (model, label) in [(&labelled, LABEL), (&bare, "")] {
        for name in ["site", "rules"] {
            let condition_lines = condition_lines(model, &settings, label, name);
            assert!(
                condition_lines[1].starts_with("Effective=True Covered: "),
                "{}",
                condition_lines[1]
            );
        }
    }
}

#[test]
fn an_unread_registration_makes_no_condition_false() {
    let own = object(Some("shop"), "site", site());
    let settings = Settings::new("syncer:1");
    let model = model(&[("shop", covered())], &[own]);
    let condition_lines =
        |auto_injection| condition_lines_with(&model, &settings, auto_injection, "site").remove(1);
    assert_eq!(
        condition_lines(AutoInjection::Unreadable),
        "Effective=Unknown RegistrationUnreadable: the webhook cannot read its registration, which sets the namespaces of auto-injection"
    );
    assert_eq!(
        condition_lines(AutoInjection::Unregistered),
        "Effective=False NotRegistered: the webhook's registration has no entry \
         auto.gitvolume.dev: only Pods that name it with gitvolume.dev/use get it"
    );
}

#[test]
fn an_object_that_no_pod_can_get_is_not_effective() {
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
    let condition_lines = |name| condition_lines(&model, &settings, LABEL, name);
    assert_eq!(
        condition_lines("site")[1],
        "Effective=False NamespaceExcluded: the operator excludes the Pods of namespace \
         team-shop (excludedNamespaces)"
    );
    assert!(condition_lines("system")[1].starts_with("Effective=False NamespaceNotCovered"));
    assert_eq!(
        condition_lines("rules")[1],
        "Effective=False NoNamespace: the namespaceSelector matches no namespace"
    );
    let wrong = condition_lines("wrong");
    assert!(
        wrong[0].starts_with("Accepted=False Invalid: ClusterGitVolume wrong"),
        "{wrong:?}"
    );
    assert!(wrong[0].contains("expected"), "{wrong:?}");
    // kstatus waits for an object that is not ready, unless it is stalled.
    let message = wrong[0].strip_prefix("Accepted=False ").unwrap();
    assert_eq!(wrong[3], format!("Ready=False {message}"));
    assert_eq!(wrong[4], format!("Stalled=True {message}"));
    assert!(
        wrong[1].starts_with("Effective=False NotAccepted"),
        "{wrong:?}"
    );
}

#[test]
fn a_namespaced_object_with_an_operator_only_field_is_not_accepted() {
    let settings = json!({"image": "syncer:1", "allowedAnnotations": ["repo", "mount-path"]});
    let settings: Settings = serde_json::from_value(settings).unwrap();
    let mut spec = site();
    spec["mountPath"] = json!("/site");
    spec["user"] = json!(1000);
    let own = object(Some("shop"), "site", spec.clone());
    let fit = object(Some("shop"), "fit", site());
    let operators = object(None, "rules", spec);
    let model = model(&[("shop", covered())], &[own, fit, operators]);
    let condition_lines =
        |settings: &Settings, name| condition_lines(&model, settings, LABEL, name);
    let judged = condition_lines(&settings, "site");
    assert_eq!(
        judged[0],
        "Accepted=False Invalid: GitVolume shop/site: spec.user: not allowed by the cluster's gitvolume settings; allowed keys: repo, mountPath"
    );
    assert!(
        judged[1].starts_with("Effective=False NotAccepted"),
        "{judged:?}"
    );
    let is_accepted = "Accepted=True Accepted: the spec is valid";
    assert_eq!(condition_lines(&settings, "fit")[0], is_accepted);
    assert_eq!(condition_lines(&settings, "rules")[0], is_accepted);
    // The operator can change the list while the webhook runs.
    let all = Settings::new("syncer:1");
    assert_eq!(condition_lines(&all, "site")[0], is_accepted);
}

#[test]
fn an_overridden_field_is_named_where_both_objects_apply() {
    let settings = Settings::new("syncer:1");
    let namespaces = [("shop", covered()), ("bank", json!({}))];
    let own = |namespace| object(Some(namespace), "site", site());
    let mut spec = site();
    spec["namespaceSelector"] = json!({"matchLabels": {"kubernetes.io/metadata.name": "shop"}});
    let cluster = object(None, "site", spec);
    let met = model(&namespaces, &[own("shop"), cluster.clone()]);
    // Cluster-scoped objects come first.
    assert_eq!(
        condition_lines(&met, &settings, LABEL, "site")[2],
        "Shadowed=True Shadowed: spec.repo: overridden by GitVolume shop/site"
    );
    let apart = model(&namespaces, &[own("bank"), cluster]);
    assert!(condition_lines(&apart, &settings, LABEL, "site")[2].starts_with("Shadowed=False"));
}

#[test]
fn unchanged_conditions_are_not_rewritten_and_those_of_other_controllers_stay() {
    let settings = Settings::new("syncer:1");
    let others = json!([{
        "type": "Reviewed", "status": "True", "reason": "Approved", "message": "",
        "lastTransitionTime": "2020-01-01T00:00:00Z",
    }]);
    let mut site = object(Some("shop"), "site", site());
    site["status"] = json!({"conditions": others});
    let early = Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH);
    let late = Time("2026-01-01T00:00:00Z".parse().unwrap());
    let conditions = |site: &Value, labels: Value, now: &Time| {
        let model = model(&[("shop", labels)], std::slice::from_ref(site));
        let key = model.objects.keys().next().unwrap().clone();
        Judgement::new(&model, &settings, registered(LABEL)).changed(&key, now)
    };
    let first = conditions(&site, json!({}), &early).unwrap();
    assert_eq!(first.len(), 6);
    assert_eq!(first[0].type_, "Reviewed");

    site["status"] = json!({"conditions": first});
    let again = conditions(&site, json!({}), &late);
    assert_eq!(
        again.as_ref(),
        Some(&first),
        "its generation is not recorded"
    );
    site["status"]["observedGeneration"] = json!(3);
    assert_eq!(conditions(&site, json!({}), &late), None, "it is recorded");

    let second = conditions(&site, covered(), &late).unwrap();
    let since = |kind: &str| {
        let own = second.iter().find(|own| own.type_ == kind).unwrap();
        own.last_transition_time.clone()
    };
    assert_eq!(since("Effective"), late, "it has changed");
    assert_eq!(since("Accepted"), early, "it has not");
    assert_eq!(second.len(), 6);
}
