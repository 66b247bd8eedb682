//! The definitions of our two kinds for an API server: what it refuses when an object is applied,
//! in the words in which [`GitVolume::accepted`](crate::GitVolume::accepted) says it.
//!
//! The words are the table's. No `enum`, `pattern` or `minimum` says them: what one of these refuses,
//! the API server refuses in its own words, and looks at no rule any more. Lengths and numbers of
//! items are bound, so that the rules stay within what the API server grants them
//! (<https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules>).

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::ANNOTATIONS;
use crate::Kind;
use crate::Name;
use crate::annotations::Annotation;
use crate::value;

use super::selector;
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
        let has = HAS_CREDENTIALS.replace("self.", &format!("self.{field}."));
        at(field, &format!("!has(self.{field}) || !{has}"), words)
    };
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

/// A label as DNS has it, in a regular expression.
const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";

/// The host and the port of an address.
const HOST: &str = "([A-Za-z0-9_][A-Za-z0-9._-]*|\\\\[[0-9A-Fa-f:.]+\\\\])\
    (:([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])?)?";

/// The type of a field, and the rules for its value: of several that are wrong, the first one's words
/// count, so each lets pass what those before it refuse.
fn property(row: &Annotation) -> Value {
    let text = |longest: u32, rules: &[(&str, &str)]| {
        typed(row, json!({"type": "string", "maxLength": longest}), rules)
    };
    let one_of = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let rule = format!("self in [{}]", words.join(", "));
        text(64, &[(&rule, GRAMMAR)])
    };
    // Every API server takes such a text for one of any length when it reckons what a rule costs:
    // hence its own functions, and no pattern of length.
    let amount = |number: &str, text: &str| {
        let rule = format!(
            "type(self) == int ? {number} : self.matches('^[0-9.]') && isQuantity(self) && \
             quantity(self).isLessThan(quantity('1E')){text}"
        );
        typed(row, number_or_text(), &[(&rule, GRAMMAR)])
    };
    match row.key {
        "repo" => {
            let rule = format!(
                "{HAS_CREDENTIALS} || self.matches('^(https?|ssh)://([^-/?#@:\\\\s\\\\p{{Cc}}]\
                 [^/?#@:\\\\s\\\\p{{Cc}}]*@)?{HOST}([/?#][^ \\\\p{{Cc}}]*)?$') || \
                 (!self.contains('://') && self.matches('^([^-/:@ \\\\p{{Cc}}][^/:@ \\\\p{{Cc}}]*@)?\
                 [^-/:@ \\\\p{{Cc}}][^/:@ \\\\p{{Cc}}]*:[^-: \\\\p{{Cc}}][^ \\\\p{{Cc}}]*$'))"
            );
            text(2048, &[(&rule, GRAMMAR)])
        }
        "ref" => text(
            1024,
            &[(
                "self.matches('^[^-+ ~^:?*\\\\[\\\\\\\\\\\\p{Cc}/.][^ ~^:?*\\\\[\\\\\\\\\\\\p{Cc}]*$') && \
                 self != '@' && !self.matches('[.]{2}|@[{]|//|/[.]|[.]lock(/|$)|[/.]$')",
                GRAMMAR,
            )],
        ),
        "mount-path" => {
            let name = "([^/:.\\\\p{Cc}][^/:\\\\p{Cc}]*|[.][^/:.\\\\p{Cc}][^/:\\\\p{Cc}]*|\
                        [.]{2}[^/:\\\\p{Cc}]+)";
            let rule = format!("self.matches('^(/{name})+/?$')");
            let outside = "!self.matches('^/proc(/|$)')";
            text(4095, &[(&rule, GRAMMAR), (outside, value::PROC)])
        }
        "link" => text(
            1024,
            &[
                (
                    "!self.matches('\\\\p{Cc}|^/|/$|(^|/)[.]{2}(/|$)|^([.]?(/|$))*$')",
                    GRAMMAR,
                ),
                (
                    "!self.matches('^([.]/+)*[.](git|worktrees)(/|$)')",
                    value::OWN_NAMES,
                ),
            ],
        ),
        "mode" => one_of(&["once", "sync"]),
        "period" | "timeout" => {
            let is_one = "self.matches('^(0|(([0-9]{1,6}([.][0-9]{0,9})?|[.][0-9]{1,9})\
                          (ns|us|µs|μs|ms|s|m|h))+)$')";
            let long = format!("!{is_one} || duration(self) >= duration('10ms')");
            text(64, &[(is_one, GRAMMAR), (&long, value::SHORT)])
        }
        "depth" => typed(
            row,
            json!({"type": "integer", "format": "int64"}),
            &[("self >= 0 && self <= 2147483647", GRAMMAR)],
        ),
        "secret" => {
            let rule = format!("size(self) <= 253 && self.matches('^{LABEL}([.]{LABEL})*$')");
            text(1024, &[(&rule, GRAMMAR)])
        }
        "subdir" => text(
            1024,
            &[(
                "self.matches('^[^/\\\\p{Cc}]+(/[^/\\\\p{Cc}]+)*/?$') && \
                 !self.matches('(?i)(^|/)([.]|[.]{2}|[.]git)(/|$)')",
                GRAMMAR,
            )],
        ),
        "sparse-checkout" => text(
            16384,
            &[(
                "self.matches('(^|\\\\n)\\\\s*[^#\\\\s]') && \
                 !self.matches('[\\\\x00-\\\\x08\\\\x0b\\\\x0c\\\\x0e-\\\\x1f\\\\x7f-\\\\x{9f}]') && \
                 !self.matches('\\\\S[^\\\\n]*[\\\\t\\\\r][^\\\\n]*\\\\S')",
                GRAMMAR,
            )],
        ),
        "filter" => text(
            64,
            &[(
                "self.matches('^(blob:none|blob:limit=[0-9]{1,10}[kmg]?|tree:[0-9]{1,10})$')",
                GRAMMAR,
            )],
        ),
        "submodules" => one_of(&["recursive", "shallow", "off"]),
        "read-only" | "safe-directory" => typed(row, json!({"type": "boolean"}), &[]),
        "notify" => {
            let rule = format!(
                "{HAS_CREDENTIALS} || self.matches('^https?://([^/?#@:\\\\s\\\\p{{Cc}}]*@)?{HOST}\
                 ([/?#][^\\\\s\\\\p{{Cc}}\\\\p{{Z}}]*)?$')"
            );
            let none = format!("!{HAS_CREDENTIALS}");
            text(
                2048,
                &[(&none, value::CREDENTIALS_OF_NOTIFY), (&rule, GRAMMAR)],
            )
        }
        "size-limit" => amount(
            "self > 0",
            " && quantity(self).isGreaterThan(quantity('0'))",
        ),
        "medium" => one_of(&["disk", "memory", "Memory"]),
        "containers" | "init-containers" => typed(
            row,
            json!({
                "type": "array", "maxItems": 128, "x-kubernetes-list-type": "atomic",
                "items": {"type": "string", "maxLength": 253},
            }),
            &[(
                "size(self) > 0 && self.all(name, name.matches('^[^,]*[^,\\\\s][^,]*$'))",
                GRAMMAR,
            )],
        ),
        "position" => {
            let rule = format!("self.matches('^(last|first|(before|after):{LABEL})$')");
            text(1024, &[(&rule, GRAMMAR)])
        }
        "user" => {
            let number = "[1-9][0-9]{0,9}";
            let rule = format!(
                "type(self) == int ? self > 0 && self <= 2147483647 : \
                 self.matches('^{number}(:{number})?$') && (self.contains(':') ? \
                 int(self.substring(0, self.indexOf(':'))) <= 2147483647 && \
                 int(self.substring(self.indexOf(':') + 1)) <= 2147483647 : \
                 int(self) <= 2147483647)"
            );
            typed(row, number_or_text(), &[(&rule, GRAMMAR)])
        }
        "image" => text(
            1024,
            &[(
                "self.matches('^[^-\\\\s\\\\p{Cc}\\\\p{Z}][^\\\\s\\\\p{Cc}\\\\p{Z}]*$')",
                GRAMMAR,
            )],
        ),
        "metrics-port" => typed(
            row,
            json!({"type": "integer", "format": "int32"}),
            &[("self >= 1024 && self <= 65535", GRAMMAR)],
        ),
        // Amounts of resources. A key that is forgotten above is one of these, and its example is
        // then refused by a test.
        _ => amount("self >= 0", ""),
    }
}

/// In a rule, the words of the row.
const GRAMMAR: &str = "";

/// Judged on the text, as everywhere.
const HAS_CREDENTIALS: &str = "self.matches('^[^:]*://([^/?#]*:|ghp_|gho_|ghu_|ghs_|ghr_|\
                               github_pat_|glpat-)[^/?#]*@')";

fn number_or_text() -> Value {
    json!({
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "x-kubernetes-int-or-string": true,
        "maxLength": 64,
    })
}

fn typed(row: &Annotation, mut schema: Value, rules: &[(&str, &str)]) -> Value {
    let default = row.default.map(|text| format!(" Default: {text}."));
    schema["description"] = json!(format!(
        "{} Accepted: {}.{}",
        row.meaning,
        row.grammar,
        default.unwrap_or_default()
    ));
    let rules: Vec<Value> = rules
        .iter()
        .map(|(expression, words)| match *words {
            GRAMMAR => rule(expression, &format!("expected {}", row.grammar)),
            words => rule(expression, words),
        })
        .collect();
    if !rules.is_empty() {
        schema["x-kubernetes-validations"] = json!(rules);
    }
    schema
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

fn selector(description: &str) -> Value {
    const NAME: &str = "([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)";
    let is_key = |key: &str| {
        format!(
            "{key}.matches('^({LABEL}([.]{LABEL})*/)?{NAME}$') && \
             !{key}.matches('^[^/]{{254,}}/|[^/]{{64,}}$')"
        )
    };
    let is_value = |value: &str| format!("size({value}) <= 63 && {value}.matches('^{NAME}?$')");
    let keys = format!("self.all(key, {})", is_key("key"));
    let values = format!("self.all(key, {})", is_value("self[key]"));
    let their_values = format!(
        "!has(self.values) || self.values.all(value, {})",
        is_value("value")
    );
    json!({
        "description": description,
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "description": "Labels that must all be there, with these values.",
                "type": "object",
                "maxProperties": 32,
                "additionalProperties": {"type": "string", "maxLength": 256},
                "x-kubernetes-validations": [
                    rule(&keys, selector::KEY),
                    rule(&values, selector::VALUE),
                ],
            },
            "matchExpressions": {
                "description": "Requirements that must all hold.",
                "type": "array",
                "maxItems": 32,
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {
                            "description": "The label's key.",
                            "type": "string",
                            "maxLength": 512,
                            "x-kubernetes-validations": [rule(&is_key("self"), selector::KEY)],
                        },
                        "operator": {
                            "description": "In, NotIn, Exists or DoesNotExist.",
                            "type": "string",
                            "maxLength": 64,
                            "x-kubernetes-validations": [rule(
                                "self in ['In', 'NotIn', 'Exists', 'DoesNotExist']",
                                selector::OPERATOR,
                            )],
                        },
                        "values": {
                            "description": "The values, for In and NotIn.",
                            "type": "array",
                            "maxItems": 64,
                            "x-kubernetes-list-type": "atomic",
                            "items": {"type": "string", "maxLength": 256},
                        },
                    },
                    "x-kubernetes-validations": [
                        rule(&their_values, selector::VALUE),
                        rule(
                            "!(self.operator in ['In', 'NotIn']) || \
                             has(self.values) && size(self.values) > 0",
                            selector::VALUES,
                        ),
                        rule(
                            "!(self.operator in ['Exists', 'DoesNotExist']) || \
                             !has(self.values) || size(self.values) == 0",
                            selector::VALUES,
                        ),
                    ],
                },
            },
        },
    })
}

/// Written by the webhook; the conditions are those of every Kubernetes API
/// (k8s.io/apimachinery, `meta/v1.Condition`).
fn status() -> Value {
    json!({
        "description": "What the webhook has to say about it.",
        "type": "object",
        "properties": {
            "observedGeneration": {
                "description": "The generation that this is about.",
                "type": "integer",
                "format": "int64",
            },
            "conditions": {
                "description": "Accepted: whether all that it says is right. Effective: whether \
                                Pods can get it, and which of its fields others are heard instead of.",
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "items": {
                    "type": "object",
                    "required": ["lastTransitionTime", "message", "reason", "status", "type"],
                    "properties": {
                        "type": {
                            "description": "What it is about.",
                            "type": "string",
                            "maxLength": 316,
                        },
                        "status": {
                            "description": "Whether it holds.",
                            "type": "string",
                            "enum": ["True", "False", "Unknown"],
                        },
                        "reason": {
                            "description": "Why, in a word.",
                            "type": "string",
                            "minLength": 1,
                            "maxLength": 1024,
                            "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                        },
                        "message": {
                            "description": "Why, in a sentence.",
                            "type": "string",
                            "maxLength": 32768,
                        },
                        "observedGeneration": {
                            "description": "The generation that this is about.",
                            "type": "integer",
                            "format": "int64",
                            "minimum": 0,
                        },
                        "lastTransitionTime": {
                            "description": "Since when.",
                            "type": "string",
                            "format": "date-time",
                        },
                    },
                },
            },
        },
    })
}
