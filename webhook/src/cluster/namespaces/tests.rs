use super::watch::take;
use super::*;
use crate::cluster::coverage::Coverage;
use kube::core::Expression;
use kube::runtime::watcher::Event;
use serde_json::Value;
use serde_json::json;

fn namespaces() -> Arc<Namespaces> {
    let namespaces = Namespaces::with_objects();
    let label = Expression::Equal("auto".to_owned(), "on".to_owned());
    namespaces.set_auto_injection(AutoInjection::Registered(Coverage {
        selector: vec![label],
    }));
    namespaces
}

fn see(namespaces: &Namespaces, name: &str, labels: Value) {
    let metadata = json!({"metadata": {"name": name, "labels": labels}});
    let event = Event::Apply(serde_json::from_value(metadata).unwrap());
    take(namespaces, &mut HashMap::new(), event);
}

fn add(namespaces: &Namespaces, namespace: Option<&str>, name: &str, selector: Value) {
    let kind = match namespace {
        Some(_) => Kind::GitVolume,
        None => Kind::ClusterGitVolume,
    };
    let object = json!({
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"repo": "https://git.example/x.git", "namespaceSelector": selector},
    });
    let event = Event::Apply(serde_json::from_value(object).unwrap());
    crate::cluster::objects::take(namespaces, kind, &mut BTreeMap::new(), event);
}

fn names(namespace: &Namespace) -> Vec<&str> {
    namespace.volumes.iter().map(|own| own.name()).collect()
}

#[test]
fn a_namespace_has_its_own_objects_and_those_that_select_it() {
    let namespaces = namespaces();
    see(&namespaces, "shop", json!({"team": "web", "auto": "on"}));
    see(&namespaces, "bank", json!({"team": "money"}));
    add(&namespaces, Some("shop"), "site", Value::Null);
    add(&namespaces, None, "everywhere", Value::Null);
    add(
        &namespaces,
        None,
        "web",
        json!({"matchLabels": {"team": "web"}}),
    );
    let shop = namespaces.get("shop").unwrap();
    assert_eq!(names(&shop), ["site", "everywhere", "web"]);
    assert!(shop.is_auto_injected);
    let bank = namespaces.get("bank").unwrap();
    assert_eq!(names(&bank), ["everywhere"]);
    assert!(!bank.is_auto_injected);

    see(&namespaces, "bank", json!({"team": "web", "auto": "on"}));
    assert_eq!(
        names(&namespaces.get("bank").unwrap()),
        ["everywhere", "web"]
    );
    assert!(namespaces.get("bank").unwrap().is_auto_injected);
}

#[test]
fn a_namespace_is_unknown_until_the_watch_reports_it() {
    let namespaces = namespaces();
    add(&namespaces, None, "everywhere", Value::Null);
    add(&namespaces, Some("new"), "site", Value::Null);
    assert_eq!(namespaces.get("new"), None);
    see(&namespaces, "new", json!({"auto": "on"}));
    let new = namespaces.get("new").unwrap();
    assert_eq!(names(&new), ["site", "everywhere"]);
    assert!(new.is_auto_injected);
    // Without an object watch there is nothing to wait for.
    let without = Namespaces::watched().get("new");
    assert_eq!(without, Some(Namespace::default()));
}

#[test]
fn a_changed_registration_changes_which_namespaces_are_covered() {
    let namespaces = namespaces();
    see(&namespaces, "shop", json!({"auto": "on"}));
    let is_auto_injected = || namespaces.get("shop").unwrap().is_auto_injected;
    assert!(is_auto_injected());
    namespaces.registration_is_unreadable();
    assert!(is_auto_injected(), "what was last known counts");
    namespaces.set_auto_injection(AutoInjection::Unregistered);
    assert!(!is_auto_injected());
    namespaces.set_auto_injection(AutoInjection::Registered(Coverage::default()));
    assert!(is_auto_injected());
}

#[test]
fn namespaces_with_the_same_objects_share_one_list() {
    let namespaces = namespaces();
    for name in ["a", "b"] {
        see(&namespaces, name, json!({}));
    }
    add(&namespaces, None, "everywhere", Value::Null);
    let volumes = |name| namespaces.get(name).unwrap().volumes;
    let (a, b) = (volumes("a"), volumes("b"));
    assert!(Arc::ptr_eq(&a, &b));
}
