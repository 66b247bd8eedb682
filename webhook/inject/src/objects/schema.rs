//! The definitions of our two kinds for an API server: what it refuses when an object is applied,
//! in the words in which [`GitVolume::accepted`](crate::GitVolume::accepted) says it.
//!
//! The words are the table's. No `enum`, `pattern` or `minimum` says them: what one of these refuses,
//! the API server refuses in its own words, and looks at no rule any more. Lengths and numbers of
//! items are bound, so that the rules stay within what the API server grants them
//! (<https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules>).

mod field;
mod judge;
mod selector;
mod status;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::ANNOTATIONS;
use crate::Kind;
use crate::Name;
use crate::resources::NOT_BELOW;
use crate::value;

use self::field::has_credentials;
use self::field::property;
pub(super) use self::judge::judged;
use self::selector::selector;
use self::status::status;

use super::spec;

/// The CustomResourceDefinition of a kind, without labels: a chart's business.
pub fn custom_resource_definition(kind: Kind) -> Value {
    let (short, scope) = match kind {
        Kind::GitVolume => ("gv", "Namespaced"),
        Kind::ClusterGitVolume => ("cgv", "Cluster"),
    };
    let (plural, group) = (kind.plural(), Kind::GROUP);
    let condition = |kind: &str| format!(".status.conditions[?(@.type==\"{kind}\")].status");
    let column = |name: &str, path: &str| json!({"name": name, "type": "string", "jsonPath": path});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {
                "kind": kind.as_str(),
                "listKind": format!("{kind}List"),
                "plural": plural,
                "singular": kind.as_str().to_ascii_lowercase(),
                "shortNames": [short],
            },
            "versions": [{
                "name": Kind::VERSION,
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "additionalPrinterColumns": [
                    column("Repo", ".spec.repo"),
                    column("Ref", ".spec.ref"),
                    column("Path", ".spec.mountPath"),
                    column("Accepted", &condition("Accepted")),
                    column("Effective", &condition("Effective")),
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
                "schema": {"openAPIV3Schema": schema(kind)},
            }],
        },
    })
}

/// A label as DNS has it, in a regular expression.
const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";

fn schema(kind: Kind) -> Value {
    let what = match kind {
        Kind::GitVolume => {
            "Gives a repository's files to Pods of its namespace: those that its podSelector takes, \
             and those that name it with the annotation gitvolume.dev/use."
        }
        Kind::ClusterGitVolume => {
            "Gives a repository's files to Pods of the namespaces that its namespaceSelector takes: \
             those that its podSelector takes, and those that name it with the annotation \
             gitvolume.dev/use."
        }
    };
    let keys: Vec<String> = ANNOTATIONS
        .iter()
        .map(|row| row.key)
        .filter(|key| !key.contains('.'))
        .chain(["resources"])
        .map(|key| format!("'{key}'"))
        .collect();
    let name = format!(
        "size(self.metadata.name) <= 40 && self.metadata.name.matches('^{LABEL}$') && \
         !(self.metadata.name in [{}])",
        keys.join(", ")
    );
    json!({
        "description": what,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "The version of this form of the object."},
            "kind": {"type": "string", "description": "What kind of object this is."},
            "metadata": {"type": "object"},
            "spec": spec(kind),
            "status": status(),
        },
        "x-kubernetes-validations": [
            rule(&name, &format!("metadata.name: expected {}, and no key", Name::GRAMMAR)),
        ],
    })
}

fn spec(kind: Kind) -> Value {
    let mut properties = Map::new();
    for row in ANNOTATIONS {
        let Some(field) = spec::field(row) else {
            continue;
        };
        insert(&mut properties, &field, property(row));
    }
    properties.insert("priority".to_owned(), priority());
    let pods = "The Pods that get it, by their labels; without it, all of them. Only where the \
                namespace has the label of auto-injection (gitvolume.dev/auto-inject: enabled, if the \
                operator has chosen no other).";
    properties.insert("podSelector".to_owned(), selector(pods));
    if kind == Kind::ClusterGitVolume {
        let namespaces = "The namespaces it is for, by their labels; without it, all of them.";
        properties.insert("namespaceSelector".to_owned(), selector(namespaces));
    }
    let at = |field: &str, expression: &str, words: &str| {
        let mut rule = rule(expression, words);
        rule["fieldPath"] = json!(format!(".{field}"));
        rule
    };
    // Here and not at the field: newer API servers show the value of one, password and all.
    let without_credentials = |field: &str, words: &str| {
        let has = has_credentials().replace("self.", &format!("self.{field}."));
        at(field, &format!("!has(self.{field}) || !{has}"), words)
    };
    if let Some(resources) = properties.get_mut("resources") {
        let rules = spec::RESOURCE_NAMES
            .iter()
            .map(|name| no_request_above(name));
        resources["x-kubernetes-validations"] = rules.collect();
    }
    let rules = [
        at(
            "subdir",
            "!has(self.link) || !has(self.subdir)",
            spec::BESIDE_LINK,
        ),
        without_credentials("repo", value::CREDENTIALS),
        without_credentials("notify", value::CREDENTIALS_OF_NOTIFY),
    ];
    json!({
        "description": "What an annotation of the same meaning says, and which Pods get it. What is \
                        left out is the next one's to say: of the Pod, of a GitVolume, of a \
                        ClusterGitVolume of the same name, in this order; then the default holds.",
        "type": "object",
        "properties": properties,
        "x-kubernetes-validations": rules,
    })
}

/// The rule that a request is not above the limit beside it. What is no amount is refused by its own
/// field's rule.
fn no_request_above(name: &str) -> Value {
    // As rules write a name with hyphens.
    let own = name.replace('-', "__dash__");
    let (request, limit) = (format!("self.requests.{own}"), format!("self.limits.{own}"));
    let is_amount = |field: &str| format!("isQuantity(string({field}))");
    let mut rule = rule(
        &format!(
            "!has(self.requests) || !has(self.limits) || !has({request}) || !has({limit}) || \
             !{} || !{} || \
             quantity(string({request})).compareTo(quantity(string({limit}))) <= 0",
            is_amount(&request),
            is_amount(&limit),
        ),
        NOT_BELOW,
    );
    rule["messageExpression"] = json!(format!(
        "'the request ' + string({request}) + ' is above the limit ' + string({limit}) + '; {NOT_BELOW}'"
    ));
    rule["fieldPath"] = match name.contains('-') {
        true => json!(format!(".requests['{name}']")),
        false => json!(format!(".requests.{name}")),
    };
    rule
}

/// Puts the schema of a field where its path says.
fn insert(properties: &mut Map<String, Value>, field: &str, schema: Value) {
    let Some((first, rest)) = field.split_once('.') else {
        properties.insert(field.to_owned(), schema);
        return;
    };
    let description = match first {
        "requests" => "What the syncer asks for.",
        "limits" => "What the syncer may use at most.",
        _ => "What the syncer asks for, and may use at most. The operator's choice by default.",
    };
    let within = properties
        .entry(first)
        .or_insert_with(|| json!({"type": "object", "description": description, "properties": {}}));
    if let Some(properties) = within["properties"].as_object_mut() {
        insert(properties, rest, schema);
    }
}

fn rule(expression: &str, message: &str) -> Value {
    json!({"rule": expression, "message": message})
}

fn priority() -> Value {
    json!({
        "description": "Which of several objects of one kind is heard where they say something about \
                        the whole Pod: the highest, and of equal ones the first by name. Default: 0.",
        "type": "integer",
        "format": "int64",
        "x-kubernetes-validations": [
            rule("self >= -2147483648 && self <= 2147483647", spec::PRIORITY),
        ],
    })
}
