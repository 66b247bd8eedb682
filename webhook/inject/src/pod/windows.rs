//! Detection of Pods for Windows, which has no syncer.

use serde_json::Value;

/// The labels of a node's operating system; before Kubernetes 1.14 clusters had only the second one
/// (<https://kubernetes.io/docs/reference/labels-annotations-taints/>).
const OS: [&str; 2] = ["kubernetes.io/os", "beta.kubernetes.io/os"];

/// The label that only Windows nodes have.
const BUILD: &str = "node.kubernetes.io/windows-build";

/// Whether a Pod can only run on Windows: by its `os`, its node selector, its required node
/// affinity, or options that no other system accepts. The chart's guard applies the same rules.
/// Reads the raw document: such a Pod is not decoded.
pub(crate) fn is_windows(document: &Value) -> bool {
    let spec = &document["spec"];
    let selector = &spec["nodeSelector"];
    spec["os"]["name"] == "windows"
        || OS.iter().any(|label| selector[*label] == "windows")
        || !selector[BUILD].is_null()
        || has_options(spec)
        || ["containers", "initContainers"]
            .iter()
            .flat_map(|list| spec[*list].as_array().into_iter().flatten())
            .any(has_options)
        || requires_windows(spec)
}

fn has_options(of: &Value) -> bool {
    of["securityContext"]["windowsOptions"].is_object()
}

/// Whether the required node affinity allows only Windows: a node must match one of the terms, so
/// each of them has to require Windows.
fn requires_windows(spec: &Value) -> bool {
    let required =
        &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let terms = required["nodeSelectorTerms"].as_array();
    terms.is_some_and(|terms| {
        !terms.is_empty()
            && terms.iter().all(|term| {
                let all = term["matchExpressions"].as_array().into_iter().flatten();
                all.into_iter().any(is_windows_only)
            })
    })
}

/// Whether only a Windows node can match an expression.
fn is_windows_only(expression: &Value) -> bool {
    let key = expression["key"].as_str().unwrap_or_default();
    let operator = expression["operator"].as_str().unwrap_or_default();
    let values = expression["values"].as_array();
    let values = values.map(Vec::as_slice).unwrap_or_default();
    match operator {
        "In" if OS.contains(&key) => {
            !values.is_empty() && values.iter().all(|value| value == "windows")
        }
        "NotIn" if OS.contains(&key) => values.iter().any(|value| value == "linux"),
        "In" | "Exists" | "Gt" | "Lt" => key == BUILD,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn required(terms: Value) -> Value {
        json!({"affinity": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms},
        }}})
    }

    fn expressions(all: Value) -> Value {
        json!({"matchExpressions": all})
    }

    fn os(operator: &str, values: &[&str]) -> Value {
        json!({"key": "kubernetes.io/os", "operator": operator, "values": values})
    }

    #[test]
    fn every_way_to_require_windows_is_detected() {
        let old = json!({"key": "beta.kubernetes.io/os", "operator": "In", "values": ["windows"]});
        let arch = json!({"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]});
        let options = json!({"securityContext": {"windowsOptions": {"runAsUserName": "app"}}});
        for spec in [
            json!({"os": {"name": "windows"}}),
            json!({"nodeSelector": {"kubernetes.io/os": "windows"}}),
            json!({"nodeSelector": {"beta.kubernetes.io/os": "windows"}}),
            json!({"nodeSelector": {"node.kubernetes.io/windows-build": "10.0.20348"}}),
            options.clone(),
            json!({"containers": [{"name": "a"}, options]}),
            required(json!([expressions(json!([os("In", &["windows"])]))])),
            required(json!([expressions(json!([os("NotIn", &["linux"])]))])),
            required(json!([expressions(json!([
                arch,
                os("NotIn", &["darwin", "linux"])
            ]))])),
            required(json!([
                expressions(json!([old])),
                expressions(json!([arch, os("In", &["windows"])])),
            ])),
            required(json!([expressions(json!([
                {"key": "node.kubernetes.io/windows-build", "operator": "Exists"},
            ]))])),
        ] {
            assert!(is_windows(&json!({"spec": spec})), "{spec}");
        }
        let preferred = json!({"affinity": {"nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "preference": expressions(json!([os("In", &["windows"])]))},
            ],
        }}});
        for spec in [
            json!(null),
            json!({"os": {"name": "linux"}, "nodeSelector": {"kubernetes.io/os": "linux"}}),
            json!({"securityContext": {"windowsOptions": null}}),
            preferred,
            required(json!([])),
            required(json!([expressions(json!([os(
                "In",
                &["linux", "windows"]
            )]))])),
            required(json!([expressions(json!([os("NotIn", &["windows"])]))])),
            required(json!([expressions(json!([os("In", &[])]))])),
            required(json!([expressions(json!([os("Exists", &[])]))])),
            // One of the terms allows Linux.
            required(json!([
                expressions(json!([os("In", &["windows"])])),
                expressions(json!([arch])),
            ])),
        ] {
            assert!(!is_windows(&json!({"spec": spec})), "{spec}");
        }
    }
}
