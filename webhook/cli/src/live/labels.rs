//! Label selectors, evaluated as by the API server
//! (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>).

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;
use kube::core::SelectorExt;
use serde::Deserialize;
use serde_json::Value;

/// Whether a selector matches labels. An absent or empty selector matches everything, an invalid
/// one nothing.
pub fn selects(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    let read = Option::<LabelSelector>::deserialize(selector).ok();
    let read = read.map(|selector| Selector::try_from(selector.unwrap_or_default()));
    matches!(read, Some(Ok(selector)) if selector.matches(labels))
}

/// The first term of a selector that does not match the labels, in words.
pub fn missing(selector: &Value, labels: &BTreeMap<String, String>) -> Option<String> {
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        if labels.get(key).map(String::as_str) != Some(value) {
            return Some(format!("the label {key}: {value} is missing"));
        }
    }
    let expressions = selector["matchExpressions"].as_array();
    for expression in expressions.into_iter().flatten() {
        let alone = serde_json::json!({"matchExpressions": [expression]});
        if selects(&alone, labels) {
            continue;
        }
        let key = expression["key"].as_str().unwrap_or_default();
        let values = expression["values"].as_array().into_iter().flatten();
        let values: Vec<&str> = values.filter_map(Value::as_str).collect();
        let own = labels.get(key).map(String::as_str).unwrap_or_default();
        return Some(match expression["operator"].as_str() {
            Some("In") => format!("the label {key} is none of {}", values.join(", ")),
            Some("Exists") => format!("the label {key} is missing"),
            _ => format!("it has the label {key}: {own}"),
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_operator_works_as_in_the_api_server() {
        let labels = BTreeMap::from([("team".to_owned(), "shop".to_owned())]);
        let expression = |key: &str, operator: &str, values: Value| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        for (selector, missing_words) in [
            (Value::Null, None),
            (json!({}), None),
            (json!({"matchLabels": {"team": "shop"}}), None),
            (
                json!({"matchLabels": {"team": "bank"}}),
                Some("the label team: bank is missing"),
            ),
            (expression("team", "In", json!(["shop", "x"])), None),
            (
                expression("team", "In", json!(["x", "y"])),
                Some("the label team is none of x, y"),
            ),
            (
                expression("team", "NotIn", json!(["shop"])),
                Some("it has the label team: shop"),
            ),
            (expression("other", "NotIn", json!(["shop"])), None),
            (expression("team", "Exists", Value::Null), None),
            (
                expression("other", "Exists", Value::Null),
                Some("the label other is missing"),
            ),
            (expression("other", "DoesNotExist", Value::Null), None),
            (
                expression("team", "DoesNotExist", Value::Null),
                Some("it has the label team: shop"),
            ),
        ] {
            assert_eq!(
                missing(&selector, &labels).as_deref(),
                missing_words,
                "{selector}"
            );
            assert_eq!(selects(&selector, &labels), missing_words.is_none());
        }
    }
}
