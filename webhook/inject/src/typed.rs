//! Reads part of a document as typed data; only for looking.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads what an API server would take.
///
/// An amount may be a number there (`cpu: 1`), and usually is one in a manifest; our types know it
/// as the text that the API server makes of it before it asks a webhook. The document is copied
/// only where that is so.
pub(crate) fn read<T: DeserializeOwned>(document: &Value) -> Result<T, serde_json::Error> {
    T::deserialize(document).or_else(|error| {
        let mut copy = document.clone();
        match amounts_to_text(&mut copy, false) {
            true => T::deserialize(&copy),
            false => Err(error),
        }
    })
}

/// [`read`] where the document is needed no more: its texts are taken instead of copied.
pub(crate) fn take<T: DeserializeOwned>(mut document: Value) -> Result<T, serde_json::Error> {
    amounts_to_text(&mut document, false);
    T::deserialize(document)
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
