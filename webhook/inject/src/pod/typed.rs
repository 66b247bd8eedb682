//! Decoding of documents into typed data, for reading only.

use crate::model::error::ShapeError;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Decodes everything that an API server accepts.
///
/// A quantity may be a number (`cpu: 1`), and usually is one in a manifest; the API server converts
/// it to a string before it calls a webhook, and the typed structs accept only strings. The
/// document is copied only where it has such numbers.
pub(crate) fn read<T: DeserializeOwned>(document: &Value) -> Result<T, ShapeError> {
    let read = T::deserialize(document).or_else(|error| {
        let mut copy = document.clone();
        if amounts_to_text(&mut copy, false) {
            T::deserialize(&copy)
        } else {
            Err(error)
        }
    });
    read.map_err(ShapeError::from)
}

/// As [`read`], for a document that is not needed any more: its strings are moved instead of
/// copied.
pub(crate) fn take<T: DeserializeOwned>(mut document: Value) -> Result<T, ShapeError> {
    amounts_to_text(&mut document, false);
    T::deserialize(document).map_err(ShapeError::from)
}

/// Converts the quantities that are numbers to strings, and returns whether there were any.
fn amounts_to_text(value: &mut Value, is_amount: bool) -> bool {
    let mut found = false;
    match value {
        Value::Number(number) if is_amount => {
            *value = Value::String(number.to_string());
            found = true;
        }
        Value::Array(items) => {
            for item in items {
                found |= amounts_to_text(item, false);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                let amount = matches!(key.as_str(), "sizeLimit" | "divisor");
                found |= match member {
                    Value::Object(amounts)
                        if matches!(key.as_str(), "limits" | "requests" | "overhead") =>
                    {
                        amounts
                            .values_mut()
                            .fold(false, |found, own| amounts_to_text(own, true) | found)
                    }
                    _ => amounts_to_text(member, amount),
                };
            }
        }
        _ => {}
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::PodSpec;
    use serde_json::json;

    #[test]
    fn quantities_may_be_numbers() {
        let spec = json!({
            "containers": [{"name": "c", "resources": {
                "limits": {"cpu": 1, "memory": "1Gi"}, "requests": {"cpu": 0.5},
            }}],
            "volumes": [{"name": "v", "emptyDir": {"sizeLimit": 1024}}],
        });
        let spec: PodSpec = read(&spec).unwrap();
        let resources = spec.containers[0].resources.as_ref().unwrap();
        assert_eq!(resources.limits.as_ref().unwrap()["cpu"].0, "1");
        assert_eq!(resources.requests.as_ref().unwrap()["cpu"].0, "0.5");
        let volumes = spec.volumes.unwrap();
        let limit = volumes[0].empty_dir.as_ref().unwrap().size_limit.as_ref();
        assert_eq!(limit.unwrap().0, "1024");
    }

    #[test]
    fn shape_errors_do_not_quote_the_document() {
        for (spec, expected) in [
            (json!({"containers": "hunter2"}), "expected a sequence"),
            (
                json!({"containers": [{"name": ["hunter2"]}]}),
                "expected a string",
            ),
            (
                json!({"containers": [], "shareProcessNamespace": "hunter2"}),
                "expected a boolean",
            ),
        ] {
            let error = read::<PodSpec>(&spec).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let error = serde_json::from_str::<Value>("{").unwrap_err();
        assert!(
            ShapeError::from(error)
                .to_string()
                .contains("line 1 column 1")
        );
    }

    #[test]
    fn only_numbers_that_are_quantities_become_strings() {
        for spec in [
            json!({"containers": [{"name": 7}]}),
            json!({"containers": [{"name": 7, "resources": {"limits": {"cpu": 1}}}]}),
            json!({"containers": 7}),
        ] {
            assert!(read::<PodSpec>(&spec).is_err(), "{spec}");
        }
    }
}
