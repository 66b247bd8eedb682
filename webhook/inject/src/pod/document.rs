//! A Pod's raw document.

use serde_json::Map;
use serde_json::Value;

/// The annotations of a Pod.
pub(crate) fn annotations(pod: &Value) -> Option<&Map<String, Value>> {
    pod.get("metadata")?.get("annotations")?.as_object()
}
