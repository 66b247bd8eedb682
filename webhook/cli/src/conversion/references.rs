//! Dangling references to containers that a conversion removed: each is reported.

use std::collections::BTreeSet;

use serde_json::Map;
use serde_json::Value;

/// The names and ports of removed containers.
#[derive(Debug, Default)]
struct Gone {
    names: BTreeSet<String>,
    /// Names and numbers of ports that no remaining container has.
    ports: BTreeSet<String>,
}

/// Fields that name a container, in any kind: resources, autoscaler metrics, monitors.
const CONTAINERS: [&str; 4] = [
    "container",
    "containerName",
    "containerNames",
    "targetContainer",
];

/// Fields that contain a port name or number.
const PORTS: [&str; 4] = ["port", "portName", "targetPort", "containerPort"];

/// The messages about dangling references in a Pod template and in the objects beside it.
pub(crate) fn dangling(before: &Value, after: &Value, others: &[(String, &Value)]) -> Vec<String> {
    let gone = gone(before, after);
    if gone.names.is_empty() {
        return Vec::new();
    }
    let names: Vec<&str> = gone.names.iter().map(String::as_str).collect();
    let names = names.join(" and ");
    let mut sentences = Vec::new();
    if after["spec"]["shareProcessNamespace"] == true {
        sentences.push(format!(
            "spec.shareProcessNamespace is kept; remove it if it was for signals to or from {names}"
        ));
    }
    let annotations = after["metadata"]["annotations"].as_object();
    for (key, value) in annotations.into_iter().flatten() {
        let text = value.as_str().unwrap_or_default();
        if !key.starts_with(inject::PREFIX) && gone.is_named_in(key, text) {
            sentences.push(format!("the annotation {key} still names {names}"));
        }
    }
    let mut found = Vec::new();
    gone.look(&after["spec"], "spec", false, &mut found);
    sentences.extend(
        found
            .into_iter()
            .map(|at| format!("{at} still names {names}")),
    );
    for (name, object) in others {
        let mut found = Vec::new();
        let is_of_ports = selects(object, after);
        gone.look(&object["spec"], "spec", is_of_ports, &mut found);
        let found = found.into_iter();
        sentences
            .extend(found.map(|at| format!("{name}: {at} still names {names}, or a port of it")));
    }
    sentences
}

fn containers(template: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["initContainers", "containers"].into_iter();
    lists.flat_map(|list| template["spec"][list].as_array().into_iter().flatten())
}

fn ports(container: &Value) -> Vec<String> {
    let ports = container["ports"].as_array().into_iter().flatten();
    let both = ports.flat_map(|port| [&port["name"], &port["containerPort"]]);
    both.filter(|own| !own.is_null()).map(text).collect()
}

/// A string or a number as text.
fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn gone(before: &Value, after: &Value) -> Gone {
    let left: Vec<&Value> = containers(after).map(|own| &own["name"]).collect();
    let kept: BTreeSet<String> = containers(after).flat_map(ports).collect();
    // The metrics port of the injected syncer.
    let served = text(&after["metadata"]["annotations"]["gitvolume.dev/metrics-port"]);
    let mut gone = Gone::default();
    for container in containers(before).filter(|own| !left.contains(&&own["name"])) {
        gone.names.insert(text(&container["name"]));
        let ports = ports(container).into_iter();
        gone.ports
            .extend(ports.filter(|port| !kept.contains(port) && *port != served));
    }
    gone
}

/// Whether an object refers to another workload, as an autoscaler does by `scaleTargetRef`.
pub(crate) fn is_of_another(object: &Value, workload: &Value) -> bool {
    let refs = ["scaleTargetRef", "targetRef"].into_iter();
    let mut names = refs.filter_map(|key| object["spec"][key]["name"].as_str());
    names.any(|name| workload["metadata"]["name"] != name)
}

/// Whether a Service, a PodMonitor or a policy selects the Pods of a template by label.
fn selects(object: &Value, template: &Value) -> bool {
    let spec = &object["spec"];
    // A NetworkPolicy's selector has another field name.
    let selector = match spec["podSelector"].is_object() {
        true => &spec["podSelector"],
        false => &spec["selector"],
    };
    let labels = match &selector["matchLabels"] {
        Value::Object(labels) => Some(labels),
        _ => selector.as_object(),
    };
    let own = template["metadata"]["labels"].as_object();
    let none = Map::new();
    let own = own.unwrap_or(&none);
    labels.is_some_and(|labels| {
        !labels.is_empty()
            && labels
                .iter()
                .all(|(key, value)| own.get(key) == Some(value))
    })
}

impl Gone {
    /// Whether an annotation's key or value contains a removed name as a whole word.
    fn is_named_in(&self, key: &str, value: &str) -> bool {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let has = |text: &str, name: &str| text.split(|c| !is_part(c)).any(|word| word == name);
        let last = key.rsplit('/').next().unwrap_or(key);
        self.names
            .iter()
            .any(|name| has(last, name) || has(value, name))
    }

    fn look(&self, value: &Value, at: &str, is_of_ports: bool, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (key, child) in members {
                    let at = format!("{at}.{key}");
                    let own = match child {
                        Value::Array(items) => items.iter().map(text).collect(),
                        Value::Object(_) => Vec::new(),
                        other => vec![text(other)],
                    };
                    let is_container = CONTAINERS.contains(&key.as_str())
                        && own.iter().any(|own| self.names.contains(own));
                    let is_port = is_of_ports
                        && PORTS.contains(&key.as_str())
                        && own.iter().any(|own| self.ports.contains(own));
                    match is_container || is_port {
                        true => found.push(at),
                        false => self.look(child, &at, is_of_ports, found),
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.look(item, &format!("{at}[{index}]"), is_of_ports, found);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template(containers: Value) -> Value {
        json!({
            "metadata": {
                "labels": {"app": "site"},
                "annotations": {
                    "kubectl.kubernetes.io/default-container": "git-sync",
                    "container.apparmor.security.beta.kubernetes.io/git-sync": "runtime/default",
                    "other": "git-sync-2",
                },
            },
            "spec": {
                "shareProcessNamespace": true,
                "containers": containers,
                "volumes": [{"name": "i", "downwardAPI": {"items": [
                    {"path": "c", "resourceFieldRef": {"containerName": "git-sync", "resource": "limits.cpu"}},
                ]}}],
            },
        })
    }

    #[test]
    fn an_autoscaler_refers_to_one_workload() {
        let scaler = json!({"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "site"}}});
        let workload = |name: &str| json!({"metadata": {"name": name}});
        assert!(!is_of_another(&scaler, &workload("site")));
        assert!(is_of_another(&scaler, &workload("other")));
        assert!(!is_of_another(&json!({"spec": {}}), &workload("other")));
    }

    #[test]
    fn every_reference_to_a_removed_container_is_reported() {
        let web = json!({"name": "web", "ports": [{"name": "http", "containerPort": 80}]});
        let sync =
            json!({"name": "git-sync", "ports": [{"name": "metrics", "containerPort": 1234}]});
        let service = |port: Value| {
            json!({
                "kind": "Service",
                "spec": {"selector": {"app": "site"}, "ports": [{"port": 80, "targetPort": port}]},
            })
        };
        let monitor = json!({"spec": {
            "selector": {"matchLabels": {"app": "site"}},
            "podMetricsEndpoints": [{"port": "metrics"}],
        }});
        let elsewhere = json!({"spec": {
            "selector": {"matchLabels": {"app": "other"}},
            "podMetricsEndpoints": [{"port": "metrics"}],
        }});
        let (by_number, by_http) = (service(json!(1234)), service(json!("http")));
        let others = [
            ("Service a".to_owned(), &by_number),
            ("Service b".to_owned(), &by_http),
            ("PodMonitor c".to_owned(), &monitor),
            ("PodMonitor d".to_owned(), &elsewhere),
        ];
        let (before, after) = (template(json!([sync, web])), template(json!([web])));
        assert_eq!(
            dangling(&before, &after, &others),
            [
                "spec.shareProcessNamespace is kept; remove it if it was for signals to or from git-sync",
                "the annotation container.apparmor.security.beta.kubernetes.io/git-sync still names git-sync",
                "the annotation kubectl.kubernetes.io/default-container still names git-sync",
                "spec.volumes[0].downwardAPI.items[0].resourceFieldRef.containerName still names git-sync",
                "Service a: spec.ports[0].targetPort still names git-sync, or a port of it",
                "PodMonitor c: spec.podMetricsEndpoints[0].port still names git-sync, or a port of it",
            ]
        );
        assert!(dangling(&before, &before, &others).is_empty());
    }
}
