//! The status of an object.

use serde_json::Value;
use serde_json::json;

/// The schema of the status, which the webhook writes; the conditions have the form of every
/// Kubernetes API (k8s.io/apimachinery, `meta/v1.Condition`).
pub(super) fn status() -> Value {
    json!({
        "description": "Status of the object, written by the webhook.",
        "type": "object",
        "properties": {
            "observedGeneration": {
                "description": "Generation of the object that this was determined for.",
                "type": "integer",
                "format": "int64",
            },
            "conditions": {
                "description": "Ready and Accepted: whether the spec is valid. Stalled: whether it must be changed first. Effective: whether Pods can be injected from it, and which of its fields other objects override.",
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "items": {
                    "type": "object",
                    "required": ["lastTransitionTime", "message", "reason", "status", "type"],
                    "properties": {
                        "type": {
                            "description": "Type of the condition.",
                            "type": "string",
                            "maxLength": 316,
                        },
                        "status": {
                            "description": "Status of the condition.",
                            "type": "string",
                            "enum": ["True", "False", "Unknown"],
                        },
                        "reason": {
                            "description": "Machine-readable reason for the status.",
                            "type": "string",
                            "minLength": 1,
                            "maxLength": 1024,
                            "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                        },
                        "message": {
                            "description": "Human-readable details.",
                            "type": "string",
                            "maxLength": 32768,
                        },
                        "observedGeneration": {
                            "description": "Generation of the object that this was determined for.",
                            "type": "integer",
                            "format": "int64",
                            "minimum": 0,
                        },
                        "lastTransitionTime": {
                            "description": "Time of the last change of the status.",
                            "type": "string",
                            "format": "date-time",
                        },
                    },
                },
            },
        },
    })
}
