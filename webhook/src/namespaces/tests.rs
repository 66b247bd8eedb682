use super::watch::take;
use super::*;
use kube::runtime::watcher::Event;
use serde_json::Value;
use serde_json::json;

fn namespaces() -> Arc<Namespaces> {
    Namespaces::with_objects("auto=on".parse().unwrap())
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
    crate::objects::take(namespaces, kind, &mut BTreeMap::new(), event);
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
    let shop = namespaces.get("shop");
    assert_eq!(names(&shop), ["site", "everywhere", "web"]);
    assert!(shop.is_covered);
    let bank = namespaces.get("bank");
    assert_eq!(names(&bank), ["everywhere"]);
    assert!(!bank.is_covered);

    see(&namespaces, "bank", json!({"team": "web", "auto": "on"}));
    assert_eq!(names(&namespaces.get("bank")), ["everywhere", "web"]);
    assert!(namespaces.get("bank").is_covered);
}

#[test]
fn a_namespace_that_nobody_has_told_of_has_what_every_one_has() {
    let namespaces = namespaces();
    assert_eq!(namespaces.get("new"), Namespace::default());
    add(&namespaces, None, "everywhere", Value::Null);
    let named = json!({"matchLabels": {"kubernetes.io/metadata.name": "new"}});
    add(&namespaces, None, "named", named);
    add(
        &namespaces,
        None,
        "web",
        json!({"matchLabels": {"team": "web"}}),
    );
    assert_eq!(names(&namespaces.get("new")), ["everywhere", "named"]);
    add(&namespaces, Some("new"), "site", Value::Null);
    assert_eq!(
        names(&namespaces.get("new")),
        ["site", "everywhere", "named"]
    );
}

#[test]
fn namespaces_of_the_same_objects_share_one_list() {
    let namespaces = namespaces();
    for name in ["a", "b"] {
        see(&namespaces, name, json!({}));
    }
    add(&namespaces, None, "everywhere", Value::Null);
    let (a, b) = (namespaces.get("a").volumes, namespaces.get("b").volumes);
    assert!(Arc::ptr_eq(&a, &b));
}
