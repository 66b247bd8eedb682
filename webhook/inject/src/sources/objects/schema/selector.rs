//! The schema of a label selector; the API server validates selectors in its own kinds only.

use serde_json::Value;
use serde_json::json;

use crate::policy::selector;
use crate::sources::objects::schema::rule::LABEL;
use crate::sources::objects::schema::rule::rule;

pub(super) fn selector(description: &str) -> Value {
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
                "description": "Labels that the object must have, all with exactly these values.",
                "type": "object",
                "maxProperties": 32,
                "additionalProperties": {"type": "string", "maxLength": 256},
                "x-kubernetes-validations": [
                    rule(&keys, selector::KEY),
                    rule(&values, selector::VALUE),
                ],
            },
            "matchExpressions": {
                "description": "Label requirements, all of which must be met.",
                "type": "array",
                "maxItems": 32,
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {
                            "description": "Key of the label.",
                            "type": "string",
                            "maxLength": 512,
                            "x-kubernetes-validations": [rule(&is_key("self"), selector::KEY)],
                        },
                        "operator": {
                            "description": "In, NotIn, Exists or DoesNotExist.",
                            "type": "string",
                            "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "description": "Values for the operators In and NotIn.",
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
