//! Values of an object by their JSON pointer.

use serde_json::Value;

/// The time when an event was last seen, in the API server's format.
pub(crate) fn when(event: &Value) -> &str {
    match text(event, "/lastTimestamp") {
        "" => text(event, "/eventTime"),
        when => when,
    }
}

/// The string at a JSON pointer; empty if there is none.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    let text = value.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default()
}
