//! The status of an object.

use serde_json::Value;
use serde_json::json;

/// Written by the webhook; the conditions are those of every Kubernetes API
/// (k8s.io/apimachinery, `meta/v1.Condition`).
pub(super) fn status() -> Value {
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
