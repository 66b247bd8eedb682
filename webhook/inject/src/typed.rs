//! Reads part of a document as typed data; only for looking.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;

/// Says what a document should have been. Not what is in it: that may be a Secret's, and the sentence
/// goes into a log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ShapeError(String);

impl From<serde_json::Error> for ShapeError {
    fn from(error: serde_json::Error) -> Self {
        let text = error.to_string();
        Self(match (error.classify(), text.split_once(", expected ")) {
            (Category::Data, Some((_, expected))) => format!("expected {expected}"),
            // It names a field of ours.
            (Category::Data, None) if text.starts_with("missing field") => text,
            (Category::Data, None) => {
                "a field has another type than Kubernetes gives it".to_owned()
            }
            // About the syntax alone.
            (Category::Eof | Category::Io | Category::Syntax, _) => text,
        })
    }
}

/// Reads what an API server would take.
///
/// An amount may be a number there (`cpu: 1`), and usually is one in a manifest; our types know it
/// as the text that the API server makes of it before it asks a webhook. The document is copied
/// only where that is so.
pub(crate) fn read<T: DeserializeOwned>(document: &Value) -> Result<T, ShapeError> {
    let read = T::deserialize(document).or_else(|error| {
        let mut copy = document.clone();
        match amounts_to_text(&mut copy, false) {
            true => T::deserialize(&copy),
            false => Err(error),
        }
    });
    read.map_err(ShapeError::from)
}

/// [`read`] where the document is needed no more: its texts are taken instead of copied.
pub(crate) fn take<T: DeserializeOwned>(mut document: Value) -> Result<T, ShapeError> {
    amounts_to_text(&mut document, false);
    T::deserialize(document).map_err(ShapeError::from)
}

/// Makes texts of the numbers that are amounts, and tells whether there were any.
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
    fn amounts_may_be_numbers() {
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
    fn what_is_wrong_with_a_document_is_told_without_what_is_in_it() {
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
    fn no_other_number_becomes_a_text() {
        for spec in [
            json!({"containers": [{"name": 7}]}),
            json!({"containers": [{"name": 7, "resources": {"limits": {"cpu": 1}}}]}),
            json!({"containers": 7}),
        ] {
            assert!(read::<PodSpec>(&spec).is_err(), "{spec}");
        }
    }
}
