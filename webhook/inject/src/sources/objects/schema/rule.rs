//! CEL rules of the schema.

use serde_json::Value;
use serde_json::json;

/// The regular expression of a DNS label.
pub(crate) const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";

pub(crate) fn rule(expression: &str, message: &str) -> Value {
    json!({"rule": expression, "message": message})
}
