//! The CustomResourceDefinitions of both kinds: the API server refuses an invalid object when it is
//! applied, with the messages of [`GitVolume::accepted`](crate::GitVolume::accepted).
//!
//! A closed set of words is an `enum`: the API server's own message lists the words, and tools
//! complete them. All other messages are the table's, from CEL rules. Beside the rules, bounds are
//! also `minimum` and `maximum`, and short grammars `pattern`, for tools that validate manifests
//! without CEL; a value that violates them gets the API server's message in addition. Lengths and
//! numbers of items have bounds, so that the rules stay within the API server's cost limit
//! (<https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules>).

mod field;
pub(crate) mod judge;
pub(crate) mod rule;
mod selector;
mod status;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use self::field::has_credentials;
use self::field::property;
use self::selector::selector;
use self::status::status;
use super::spec;
use crate::ANNOTATIONS;
use crate::Kind;
use crate::Name;
use crate::keys::value;
use crate::pod::resources::NOT_BELOW;
use crate::sources::objects::schema::rule::LABEL;
use crate::sources::objects::schema::rule::rule;

/// `kubectl get gitvolume-dev` lists the objects of both kinds. Not the name of a kind, which
/// would then list both.
const CATEGORY: &str = "gitvolume-dev";

/// The CustomResourceDefinition of a kind, without labels: the chart adds those.
pub fn custom_resource_definition(kind: Kind) -> Value {
    let (short, scope) = match kind {
        Kind::GitVolume => ("gv", "Namespaced"),
        Kind::ClusterGitVolume => ("cgv", "Cluster"),
    };
    let (plural, group) = (kind.plural(), Kind::GROUP);
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
                "categories": [CATEGORY],
            },
            "conversion": {"strategy": "None"},
            "versions": Kind::VERSIONS.map(|name| version(kind, name)),
        },
    })
}

/// A version of the API. The schema is the same in all of them.
fn version(kind: Kind, name: &str) -> Value {
    let condition =
        |kind: &str, field: &str| format!(".status.conditions[?(@.type==\"{kind}\")].{field}");
    let column = |name: &str, path: &str| json!({"name": name, "type": "string", "jsonPath": path});
    let wide = |name: &str, path: &str| {
        let mut column = column(name, path);
        column["priority"] = json!(1);
        column
    };
    json!({
        "name": name,
        "served": true,
        "storage": name == Kind::VERSION,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            column("Repo", ".spec.repo"),
            column("Ref", ".spec.ref"),
            column("Path", ".spec.mountPath"),
            column("Ready", &condition("Ready", "status")),
            column("Effective", &condition("Effective", "status")),
            wide("Shadowed", &condition("Shadowed", "status")),
            wide("Message", &condition("Ready", "message")),
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ],
        "schema": {"openAPIV3Schema": schema(kind)},
    })
}

fn schema(kind: Kind) -> Value {
    let what = match kind {
        Kind::GitVolume => {
            "Provides the files of a git repository to Pods of its namespace: Pods that its podSelector matches, and Pods that name it in the annotation gitvolume.dev/use."
        }
        Kind::ClusterGitVolume => {
            "Provides the files of a git repository to Pods of the namespaces that its namespaceSelector matches: Pods that its podSelector matches, and Pods that name it in the annotation gitvolume.dev/use."
        }
    };
    let keys: Vec<String> = ANNOTATIONS
        .iter()
        .map(|row| row.key.as_str())
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
            "apiVersion": {"type": "string", "description": "API version of the object."},
            "kind": {"type": "string", "description": "Kind of the object."},
            "metadata": {"type": "object"},
            "spec": spec(kind),
            "status": status(),
        },
        "x-kubernetes-validations": [
            rule(&name, &format!("metadata.name: expected {}, that is not itself an annotation key", Name::GRAMMAR)),
        ],
    })
}

fn spec(kind: Kind) -> Value {
    let mut properties = Map::new();
    for row in ANNOTATIONS {
        if let (Some(field), Some(property)) = (spec::field(row.key), property(row)) {
            insert(&mut properties, &field, property);
        }
    }
    properties.insert("priority".to_owned(), priority());
    let pods = "Selects Pods by their labels; all Pods if unset. Takes effect only in namespaces with the auto-injection label (gitvolume.dev/auto-inject: enabled, unless the operator has configured another one).";
    properties.insert("podSelector".to_owned(), selector(pods));
    if kind == Kind::ClusterGitVolume {
        let namespaces = "Selects namespaces by their labels; all namespaces if unset.";
        properties.insert("namespaceSelector".to_owned(), selector(namespaces));
    }
    let at = |field: &str, expression: &str, words: &str| {
        let mut rule = rule(expression, words);
        rule["fieldPath"] = json!(format!(".{field}"));
        rule
    };
    // Not at the field itself: newer API servers print the value of a field in the message,
    // including a password.
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
        at(
            "layout",
            "!has(self.link) || !has(self.layout)",
            spec::LAYOUT_BESIDE_LINK,
        ),
        without_credentials("repo", value::CREDENTIALS),
        without_credentials("notify", value::CREDENTIALS_OF_NOTIFY),
    ];
    json!({
        "description": "Settings with the same meaning as the annotations, and selectors of the Pods to inject. Sources with the same repository name are merged field by field, in this order of precedence: the Pod's annotations, the GitVolume, the ClusterGitVolume, the default.",
        "type": "object",
        "properties": properties,
        "x-kubernetes-validations": rules,
    })
}

/// The rule that a request is not above its limit. An invalid quantity is refused by its own
/// field's rule.
fn no_request_above(name: &str) -> Value {
    // CEL escapes hyphens in names so.
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
    rule["fieldPath"] = if name.contains('-') {
        json!(format!(".requests['{name}']"))
    } else {
        json!(format!(".requests.{name}"))
    };
    rule
}

/// Inserts the schema of a field at its path.
fn insert(properties: &mut Map<String, Value>, field: &str, schema: Value) {
    let Some((first, rest)) = field.split_once('.') else {
        properties.insert(field.to_owned(), schema);
        return;
    };
    let description = match first {
        "requests" => "Resource request of the syncer container.",
        "limits" => "Resource limit of the syncer container.",
        _ => {
            "Resource requests and limits of the syncer container. The operator sets the defaults."
        }
    };
    let within = properties
        .entry(first)
        .or_insert_with(|| json!({"type": "object", "description": description, "properties": {}}));
    if let Some(properties) = within["properties"].as_object_mut() {
        insert(properties, rest, schema);
    }
}

fn priority() -> Value {
    json!({
        "description": "Precedence among objects of the same kind for Pod-wide fields: the highest priority wins; among equal priorities, the first by name. Default: 0.",
        "type": "integer",
        "format": "int64",
        "minimum": i32::MIN,
        "maximum": i32::MAX,
        "x-kubernetes-validations": [
            rule("self >= -2147483648 && self <= 2147483647", spec::PRIORITY),
        ],
    })
}
